"""Component: end a run with its verdict and the team's result bundle."""

from kfp import dsl

from aisc.adapters.kfp_components import evaluator_component


@evaluator_component
def publish_result(
    run_key: str,
    content: dsl.Input[dsl.Dataset],
    verdicts: dsl.Input[dsl.Artifact],
    findings: dsl.Input[dsl.Artifact],
    scores: dsl.Input[dsl.Artifact] = None,
) -> None:
    """Write the bundle, then the verdict: the last atomic step of a run."""
    from pathlib import Path

    from aisc.adapters.workbench import open_workbench
    from aisc.stages import publish_result as stage

    paths = {"content": content, "verdicts": verdicts, "findings": findings}
    score_file = Path(scores.path) if scores else None
    with open_workbench() as bench:
        files = {name: Path(item.path) for name, item in paths.items()}
        stage.publish_result(bench, run_key, scores=score_file, **files)
