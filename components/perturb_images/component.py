"""Component: compute the attacked images that a defence is shown."""

from kfp import dsl

from aisc.adapters.kfp_components import evaluator_component


@evaluator_component
def perturb_images(run_key: str, probes: dsl.Output[dsl.Artifact]) -> None:
    """Attack the surrogate, or find that it was done for an earlier submission."""
    from pathlib import Path

    from aisc.adapters.workbench import open_workbench
    from aisc.stages import perturb_images as stage

    with open_workbench() as bench:
        stage.perturb_images(bench, run_key, probes=Path(probes.path))
