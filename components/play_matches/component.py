"""Component: let every defence of a tournament meet every attack."""

from kfp import dsl

from aisc.adapters.kfp_components import evaluator_component


@evaluator_component
def play_matches(season: str, stage: str, metrics: dsl.Output[dsl.Metrics]) -> None:
    """Queue the cells that are missing, run each as a pipeline of its own; count how all cells ended."""
    from aisc.adapters.workbench import open_workbench
    from aisc.engine.local import LocalEngine
    from aisc.stages import play_matches as work
    from aisc.stages import seasons

    with open_workbench() as bench:
        known = seasons.load(bench, season)
        verdicts = work.play_matches(bench, LocalEngine.from_environment(), known, stage)
    for state, count in verdicts.items():
        metrics.log_metric(state, count)
