"""Component: compute once what every submission of a stage is compared with."""

from aisc.adapters.kfp_components import evaluator_component


@evaluator_component
def prepare_stage(stage: str) -> None:
    """Ask every victim about what no submission has changed; the answers are kept for the whole stage."""
    from aisc.adapters.workbench import open_workbench
    from aisc.stages import prepare_stage as work

    with open_workbench() as bench:
        work.prepare_stage(bench, stage)
