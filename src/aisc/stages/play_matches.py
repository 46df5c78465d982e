"""Let every defence that stands meet every attack that made a set: each pair is a run, computed once."""

import json
from pathlib import Path

from aisc.evaluations import evaluation_of
from aisc.evaluations.contract import Checked
from aisc.evaluations.safair_sets import write_attack_set
from aisc.identity import Plan
from aisc.ledger.runs import Run
from aisc.season import Season
from aisc.stages.evaluate_submissions import Engine, evaluate_runs
from aisc.stages.once import fetch_output
from aisc.stages.sweep_stage import MATCH_PACKAGE
from aisc.stages.tournament import Contestant, Finals, contestants, finals_with, made_set, matches, set_name
from aisc.workbench import Workbench


def play_matches(bench: Workbench, engine: Engine, season: Season, stage: str) -> dict[str, int]:
    """Play what is missing of a tournament's matrix.

    Args:
        bench: Ledger, store and cache.
        engine: Starts the runs.
        season: The season.
        stage: Either of the two finals; both were swept and evaluated.

    Returns:
        How many matches ended in which state, those of earlier rounds included.
    """
    finals = finals_with(season, stage)
    attacks, defences = ([one for one in contestants(bench, ref) if one.stands] for ref in finals)
    for attack in attacks:
        keep_set(bench, attack)
    plans = [match.plan for match in matches(bench, season, finals, attacks, defences).values() if match.plan]
    for plan in plans:
        bench.ledger.runs.enqueue(plan, finals.defence.stage.attempts)
    keys = {plan.run_key for plan in plans}

    def queued() -> list[Run]:
        return [run for run in bench.ledger.runs.all(stage=finals.defence.path) if run.run_key in keys]

    _prepare(bench, finals, plans, {run.run_key for run in queued() if run.state == "pending"})
    return evaluate_runs(bench, engine, finals.defence.path, MATCH_PACKAGE, queued)


def keep_set(bench: Workbench, attack: Contestant) -> None:
    """Make what an attack's run made an asset of its own, unless it is one already or there is nothing."""
    if attack.run is None or attack.run.state != "scored" or made_set(bench, attack) is not None:
        return
    plan = bench.ledger.runs.plan(attack.run.run_key)
    assert plan.version.data is not None  # noqa: S101 - the run is scored
    with bench.scratch() as scratch:
        made = Checked(*(scratch / name for name in Checked._fields))
        for name in Checked._fields:
            fetch_output(bench, attack.run.run_key, "run_submission", name, scratch / name)
        folder = Path(scratch, "set")
        folder.mkdir()
        write_attack_set(folder, plan.version.data, made)
        bench.register("data", set_name(attack.run), folder)


def _prepare(bench: Workbench, finals: Finals, plans: list[Plan], pending: set[str]) -> None:
    """Lay out every set that somebody waits for, and prove the sandbox, before the first run needs them."""
    waiting = {plan.version.sha256: plan.version for plan in plans if plan.run_key in pending}
    for version in waiting.values():
        name = version.data.name if version.data else ""

        def say(facts: dict[str, object], name: str = name) -> None:
            print(json.dumps({"stage": finals.defence.path, "set": name} | facts), flush=True)

        evaluation_of(version.rules).prepare(bench, version, say)
