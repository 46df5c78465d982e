"""Component: bring a submission's archive to its run."""

from kfp import dsl

from aisc.adapters.kfp_components import evaluator_component


@evaluator_component
def ingest_submission(run_key: str, archive: dsl.Output[dsl.Artifact]) -> None:
    """Fetch the archive that the receipt names."""
    from pathlib import Path

    from aisc.adapters.workbench import open_workbench
    from aisc.stages import ingest_submission as stage

    with open_workbench() as bench:
        stage.ingest_submission(bench, run_key, archive=Path(archive.path))
