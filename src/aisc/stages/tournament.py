"""A task's two finals as one tournament: who meets whom, and which run of the ledger is which cell.

An attack is run once, in its own final; what it made becomes an asset. A defence is run once on the clean pictures and
once on every attack's set: runs of its submission like any other, each under a version whose data is that set. So a
cell's name follows from what it is made of, and what is there already is never computed again.
"""

from dataclasses import replace
from typing import Final, NamedTuple

from aisc.errors import UsageError
from aisc.evaluations import evaluation_of
from aisc.identity import Asset, Plan
from aisc.ledger.runs import Run
from aisc.ledger.submissions import Receipt
from aisc.season import Season, StageRef
from aisc.stages.sweep_stage import plan_of, stage_submissions
from aisc.tracks.safair_teams import side_of
from aisc.workbench import Workbench

FAILED_STATES: Final = frozenset({"failed", "refused"})
"""A program's own failure on a set."""
_OUT: Final = FAILED_STATES | {"cancelled"}


class Finals(NamedTuple):
    """The two stages of a tournament."""

    attack: StageRef
    defence: StageRef


class Contestant(NamedTuple):
    """A team in its final.

    Attributes:
        team: Display name.
        receipt: The submission that it entered with.
        run: The attack's generation, or the defence's clean pass; ``None`` before it was queued.
        stands: Whether it has a line of the matrix: not disqualified, not failed as a whole, not void. Who is not
            judged yet stands.
    """

    team: str
    receipt: Receipt
    run: Run | None
    stands: bool


class Match(NamedTuple):
    """A cell: the plan of its run, and the run as far as it has come; both ``None`` while the cell cannot be told."""

    plan: Plan | None
    run: Run | None


def finals_of(season: Season, task: str) -> Finals:
    """Find the finals of a task.

    Raises:
        UsageError: ``TOURNAMENT_UNKNOWN``.
    """
    found = {(ref.track, ref.name): ref for ref in season.stages() if ref.is_tournament}
    attack, defence = found.get((f"{task}-attack", "final")), found.get((f"{task}-defence", "final"))
    if attack is None or defence is None:
        tasks = sorted({side_of(track)[0] for track, _ in found})
        remedy = (
            f"Name one of: {', '.join(tasks)}." if tasks else "Give both sides of a task a final in the season file."
        )
        raise UsageError("TOURNAMENT_UNKNOWN", f"Season {season.season} holds no tournament {task!r}.", remedy)
    return Finals(attack, defence)


def finals_with(season: Season, stage: str) -> Finals:
    """Find both finals by the name of one; raises ``STAGE_UNKNOWN`` and ``TOURNAMENT_UNKNOWN``."""
    ref = season.stage(stage)
    return finals_of(season, side_of(ref.track)[0] if ref.is_tournament else ref.path)


def contestants(bench: Workbench, ref: StageRef) -> list[Contestant]:
    """Give who takes part in one of the finals, in the order of receipt."""
    version = bench.ledger.stages.pinned(ref.path)
    if version is None:
        return []
    runs = {run.submission: run for run in bench.ledger.runs.all(stage=ref.path, version_sha256=version.sha256)}
    reviews = bench.ledger.reviews.latest(ref.path)
    found = []
    for receipt in stage_submissions(bench, ref):
        run, review = runs.get(receipt.id), reviews.get(receipt.team)
        out = review is not None and review.content["submission"] == receipt.id and review.content["verdict"] == "fail"
        if run is not None and not out:
            score = bench.ledger.runs.score(run.run_key) if run.state == "scored" else None
            void = score is not None and evaluation_of(version.rules).void(score, version.limits) is not None
            out = void or run.state in _OUT
        found.append(Contestant(receipt.team, receipt, run, not out))
    return found


def set_name(generation: Run) -> str:
    """Name what an attack made, as an asset: by the run that made it."""
    return f"attacks/{generation.run_key}"


def made_set(bench: Workbench, attack: Contestant) -> Asset | None:
    """Give the asset of what an attack made, or nothing while it is not there."""
    if attack.run is None or attack.run.state != "scored":
        return None
    try:
        return bench.ledger.assets.current("data", set_name(attack.run))
    except UsageError:  # nobody has kept it yet
        return None


def matches(
    bench: Workbench, season: Season, finals: Finals, attacks: list[Contestant], defences: list[Contestant]
) -> dict[tuple[str, str], Match]:
    """Give every cell of those who stand, by the two teams: the attack's, the defence's."""
    version = bench.ledger.stages.pinned(finals.defence.path)
    runs = {run.run_key: run for run in bench.ledger.runs.all(stage=finals.defence.path)}
    found = {}
    for attack in attacks:
        made = made_set(bench, attack)
        for defence in defences:
            plan = None
            # A defence meets nobody before it is known to stand: its clean pass comes first.
            if version is not None and made is not None and defence.run is not None and defence.run.state == "scored":
                plan = plan_of(season, finals.defence, replace(version, data=made), defence.receipt)
            found[attack.team, defence.team] = Match(plan, None if plan is None else runs.get(plan.run_key))
    return found
