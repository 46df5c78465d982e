"""Component: ask the victims about a submission's images."""

from kfp import dsl

from aisc.adapters.kfp_components import evaluator_component


@evaluator_component
def query_victims(
    run_key: str,
    content: dsl.Input[dsl.Dataset],
    verdicts: dsl.Input[dsl.Artifact],
    answers: dsl.Output[dsl.Artifact],
) -> None:
    """Embed, compare, and keep every victim's answer."""
    from pathlib import Path

    from aisc.adapters.workbench import open_workbench
    from aisc.stages import query_victims as stage

    paths = {"content": content, "verdicts": verdicts, "answers": answers}
    with open_workbench() as bench:
        stage.query_victims(bench, run_key, **{name: Path(item.path) for name, item in paths.items()})
