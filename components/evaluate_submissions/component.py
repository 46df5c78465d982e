"""Component: start the runs of a stage and wait for their verdicts."""

from kfp import dsl

from aisc.adapters.kfp_components import evaluator_component


@evaluator_component
def evaluate_submissions(stage: str, package: str, metrics: dsl.Output[dsl.Metrics]) -> None:
    """Run every queued submission as a pipeline of its own; count the verdicts."""
    from aisc.adapters.workbench import open_workbench
    from aisc.engine.local import LocalEngine
    from aisc.stages import evaluate_submissions as work

    with open_workbench() as bench:
        verdicts = work.evaluate_submissions(bench, LocalEngine.from_environment(), stage, package)
    for state, count in verdicts.items():
        metrics.log_metric(state, count)
