"""Component: gather the rows of a stage's next board."""

from kfp import dsl

from aisc.adapters.kfp_components import evaluator_component


@evaluator_component
def rank_stage(season: str, stage: str, entries: dsl.Output[dsl.Artifact]) -> None:
    """Write one row a team, scored or with the reason why not."""
    from pathlib import Path

    from aisc.adapters.workbench import open_workbench
    from aisc.stages import rank_stage as work
    from aisc.stages import seasons

    with open_workbench() as bench:
        work.write_ranking(Path(entries.path), work.rank_stage(bench, seasons.load(bench, season), stage))
