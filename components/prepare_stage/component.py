"""Component: compute once what every submission of a stage is compared with."""

from aisc.adapters.kfp_components import evaluator_component


@evaluator_component
def prepare_stage(stage: str) -> None:
    """Embed the comparison images with every victim, and count what the victims accept of the clean images."""
    from aisc.adapters.workbench import open_workbench
    from aisc.stages import reference

    with open_workbench() as bench:
        reference.prepare_stage(bench, stage)
