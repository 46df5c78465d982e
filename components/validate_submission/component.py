"""Component: check an archive against the rules of its track."""

from kfp import dsl

from aisc.adapters.kfp_components import evaluator_component


@evaluator_component
def validate_submission(
    run_key: str,
    archive: dsl.Input[dsl.Artifact],
    content: dsl.Output[dsl.Dataset],
    verdicts: dsl.Output[dsl.Artifact],
    findings: dsl.Output[dsl.Artifact],
) -> str:
    """Check, decode, and say ``accepted`` or ``refused``."""
    from pathlib import Path

    from aisc.adapters.workbench import open_workbench
    from aisc.stages import validate_submission as stage

    paths = {"content": content, "verdicts": verdicts, "findings": findings, "archive": archive}
    with open_workbench() as bench:
        return stage.validate_submission(bench, run_key, **{name: Path(item.path) for name, item in paths.items()})
