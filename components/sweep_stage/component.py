"""Component: queue what a stage has to evaluate."""

from aisc.adapters.kfp_components import evaluator_component


@evaluator_component
def sweep_stage(season: str, stage: str, rescore: bool) -> str:
    """Pin the version, queue the runs, and name the package that evaluates one."""
    from aisc.adapters.workbench import open_workbench
    from aisc.stages import seasons
    from aisc.stages import sweep_stage as work

    with open_workbench() as bench:
        known = seasons.load(bench, season)
        work.sweep_stage(bench, known, stage, rescore=rescore)
    return work.package_of(known.stage(stage))
