"""Component: run a participant's program in the sandbox."""

from kfp import dsl

from aisc.adapters.kfp_components import evaluator_component


@evaluator_component
def run_submission(
    run_key: str,
    archive: dsl.Input[dsl.Artifact],
    content: dsl.Output[dsl.Dataset],
    verdicts: dsl.Output[dsl.Artifact],
    findings: dsl.Output[dsl.Artifact],
) -> str:
    """Run, collect, check, and say ``completed`` or ``failed``."""
    from pathlib import Path

    from aisc.adapters.workbench import open_workbench
    from aisc.stages import run_submission as stage

    paths = {"content": content, "verdicts": verdicts, "findings": findings, "archive": archive}
    with open_workbench() as bench:
        return stage.run_submission(bench, run_key, **{name: Path(item.path) for name, item in paths.items()})
