"""Component: compute a submission's score."""

from kfp import dsl

from aisc.adapters.kfp_components import evaluator_component


@evaluator_component
def compute_metrics(
    run_key: str,
    content: dsl.Input[dsl.Dataset],
    verdicts: dsl.Input[dsl.Artifact],
    answers: dsl.Input[dsl.Artifact],
    scores: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Score by the track's formula and show the numbers in the pipeline's own page."""
    from pathlib import Path

    from aisc.adapters.workbench import open_workbench
    from aisc.stages import compute_metrics as stage

    paths = {"content": content, "verdicts": verdicts, "answers": answers, "scores": scores}
    with open_workbench() as bench:
        shown = stage.compute_metrics(bench, run_key, **{name: Path(item.path) for name, item in paths.items()})
    for name, value in shown.items():
        metrics.log_metric(name, value)
