"""Component: publish a stage's board."""

from kfp import dsl

from aisc.adapters.kfp_components import evaluator_component


@evaluator_component
def publish_leaderboard(season: str, stage: str, entries: dsl.Input[dsl.Artifact], page: dsl.Output[dsl.HTML]) -> None:
    """Rank, decide who advances, sign, append to the chain, lay out the pages."""
    import os
    from pathlib import Path

    from aisc.adapters.workbench import open_workbench
    from aisc.stages import publish_leaderboard as work
    from aisc.stages import rank_stage, seasons

    with open_workbench() as bench:
        ranking = rank_stage.read_ranking(Path(entries.path))
        key = Path(os.environ["AISC_SIGNING_KEY"])
        work.publish_leaderboard(bench, seasons.load(bench, season), stage, ranking, key)
        Path(page.path).write_bytes(bench.store.read(f"site/{stage}/index.html"))
