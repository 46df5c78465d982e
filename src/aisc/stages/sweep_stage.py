"""Find out what a stage has to evaluate, under which version, and queue it."""

from collections.abc import Mapping, Sequence

from aisc.errors import UsageError
from aisc.evaluations import MATCH, evaluation_of
from aisc.identity import Asset, Plan, Version, code_version
from aisc.ledger.competition import Entry
from aisc.ledger.runs import FINAL_STATES, Score
from aisc.ledger.submissions import Receipt
from aisc.season import Season, StageRef
from aisc.stages.boards import latest_board
from aisc.store import blob_key
from aisc.tracks.safair_teams import side_of
from aisc.workbench import Workbench

MATCH_PACKAGE = "match"
"""The package of all runs of defences in a tournament, whatever the task."""


def sweep_stage(bench: Workbench, season: Season, stage: str, *, rescore: bool = False) -> int:
    """Queue every submission of a stage that has no run under the stage's version yet.

    The first sweep pins the version: data, victims, limits, seed and code. A later sweep that finds another one stops,
    because a board never mixes versions; ``rescore`` pins the new version and queues everything again beside the old.

    Args:
        bench: Ledger, store and cache.
        season: The season.
        stage: ``track/stage``.
        rescore: Take the present version even where another one is pinned.

    Returns:
        How many runs were queued now.

    Raises:
        UsageError: As ``preflight``.
    """
    ref = season.stage(stage)
    version = preflight(bench, season, stage, rescore=rescore)
    bench.ledger.stages.pin(version)
    if ref.stage.after is not None and not bench.ledger.stages.entries(stage):
        enter_stage(bench, season, stage)
    if ref.stage.results == "entered":
        return 0
    queued = 0
    for receipt in stage_submissions(bench, ref):
        queued += bench.ledger.runs.enqueue(plan_of(season, ref, version, receipt), ref.stage.attempts)
    return queued


def plan_of(season: Season, ref: StageRef, version: Version, receipt: Receipt) -> Plan:
    """Put together the run of one submission under one version."""
    archive = Asset("submission", receipt.id, receipt.sha256, blob_key(receipt.sha256))
    return Plan(version, archive, season.season, ref.stage.rounding)


def package_of(ref: StageRef) -> str:
    """Name the compiled package that evaluates one submission of a stage."""
    return MATCH_PACKAGE if _rules(ref) == MATCH else ref.track


def run_command(ref: StageRef) -> str:
    """Tell by which command a stage is evaluated."""
    return f"aisc tournament run {side_of(ref.track)[0]}" if ref.is_tournament else f"aisc round run {ref.path}"


def preflight(bench: Workbench, season: Season, stage: str, *, rescore: bool = False) -> Version:
    """Say under which version a stage would be scored now, or why it cannot be; changes nothing.

    Raises:
        UsageError: ``VERSION_CHANGED``, ``ASSET_UNKNOWN``, ``STAGE_UNKNOWN``, and those of ``going_on``.
    """
    ref = season.stage(stage)
    version = resolve_version(bench, ref)
    pinned = bench.ledger.stages.pinned(stage)
    if pinned is not None and pinned.sha256 != version.sha256 and not rescore:
        again = f"{run_command(ref)} --rescore" if ref.is_tournament else f"aisc rescore {stage}"
        raise UsageError(
            "VERSION_CHANGED",
            f"{stage} is scored under version {pinned.sha256[:12]}; now {_changes(pinned, version)}.",
            f"Score everything again with '{again}', or bring the earlier ones back.",
        )
    if ref.stage.after is not None and not bench.ledger.stages.entries(stage):
        going_on(bench, season, stage)
    return version


def resolve_version(bench: Workbench, ref: StageRef) -> Version:
    """Look up what a stage's scores would be bound to at this moment."""
    assets = bench.ledger.assets
    return Version(
        stage=ref.path,
        rules=_rules(ref),
        data=assets.current("data", ref.stage.data) if ref.stage.data else None,
        victims=tuple(assets.current("victim", name) for name in ref.stage.victims),
        limits=ref.stage.limits,
        seed=ref.stage.seed,
        code=code_version(),
    )


def stage_submissions(bench: Workbench, ref: StageRef) -> list[Receipt]:
    """Give the submissions that a stage evaluates: its own uploads, or the entries of the stage it follows."""
    if ref.stage.takes_uploads:
        return bench.ledger.submissions.all(stage=ref.path)
    return [bench.ledger.submissions.get(entry.submission) for entry in bench.ledger.stages.entries(ref.path)]


def taking_part(bench: Workbench, ref: StageRef) -> dict[str, str]:
    """Give who can be judged in a stage, and with which submission: its entries, or the rows of its latest board."""
    if not ref.stage.takes_uploads:
        return {entry.team: entry.submission for entry in bench.ledger.stages.entries(ref.path)}
    board = latest_board(bench, ref.path)
    return {entry.team: entry.submission for entry in board.entries} if board else {}


def enter_stage(bench: Workbench, season: Season, stage: str) -> list[Entry]:
    """Write down who takes part in a stage that follows another one; raises as ``going_on``."""
    entries = going_on(bench, season, stage)
    bench.ledger.stages.enter(stage, entries)
    return entries


def going_on(bench: Workbench, season: Season, stage: str) -> list[Entry]:
    """Decide who takes part in a stage that follows another one, from that one's latest board.

    Where the earlier stage names a cut, the teams that advance go on, else every ranked team. The submission is the
    team's last or best scored one (the later stage's ``entries``), or the one that it entered the earlier stage with.

    Raises:
        UsageError: ``STAGE_TAKES_UPLOADS``, ``STAGE_STILL_OPEN``, ``STAGE_NOT_PUBLISHED``, ``SUBMISSIONS_WAIT``.
    """
    ref = season.stage(stage)
    if ref.stage.after is None:
        raise UsageError("STAGE_TAKES_UPLOADS", f"{stage} follows no other stage.", "Teams submit to it themselves.")
    earlier = season.stage(f"{ref.track}/{ref.stage.after}")
    if earlier.stage.takes_uploads and bench.ledger.now() < earlier.stage.closes:
        raise UsageError(
            "STAGE_STILL_OPEN",
            f"{earlier.path} takes submissions until {earlier.stage.closes:%Y-%m-%d %H:%M %Z}.",
            f"After that, run 'aisc round run {earlier.path}' once more and go on.",
        )
    board = latest_board(bench, earlier.path)
    if board is None:
        raise UsageError(
            "STAGE_NOT_PUBLISHED", f"{earlier.path} has no board yet.", f"Run 'aisc round run {earlier.path}' first."
        )
    waiting = _without_verdict(bench, earlier)
    if waiting:
        raise UsageError(
            "SUBMISSIONS_WAIT",
            f"{earlier.path} has {len(waiting)} submissions without a verdict, {waiting[0]} the first of them.",
            f"Run '{run_command(earlier)}' once more.",
        )
    going = [row.entry.team for row in board.ranked if board.top is None or row.entry.advances]
    return [Entry(team, _entered_with(bench, earlier, team, ref.stage.entries), board.number) for team in going]


def _without_verdict(bench: Workbench, ref: StageRef) -> list[str]:
    """Give what a stage has to evaluate and has not: a board made before the close may lack the last to arrive."""
    version = bench.ledger.stages.pinned(ref.path)
    if version is None:
        return []
    runs = bench.ledger.runs.all(stage=ref.path, version_sha256=version.sha256)
    judged = {run.submission for run in runs if run.state in FINAL_STATES}
    return [receipt.id for receipt in stage_submissions(bench, ref) if receipt.id not in judged]


def pick_counting(version: Version, scored: Sequence[Receipt], scores: Mapping[str, Score], pick: str) -> Receipt:
    """Decide which of a team's submissions counts; one whose score is void does so only where no other one stands.

    Args:
        version: What the scores are bound to.
        scored: The team's scored submissions in the order they were received, at least one.
        scores: By submission.
        pick: ``best``, of equally good ones the first, or ``last``.
    """
    evaluation = evaluation_of(version.rules)
    sign = 1 if evaluation.higher_is_better(version.stage_name) else -1
    standing = [one for one in scored if evaluation.void(scores[one.id], version.limits) is None] or scored
    # Of equally good submissions the first counts: max gives the first of equals.
    return max(standing, key=lambda one: sign * scores[one.id].value) if pick == "best" else standing[-1]


def _entered_with(bench: Workbench, earlier: StageRef, team: str, pick: str) -> str:
    if not earlier.stage.takes_uploads:
        return next(entry.submission for entry in bench.ledger.stages.entries(earlier.path) if entry.team == team)
    version = bench.ledger.stages.pinned(earlier.path)
    assert version is not None  # noqa: S101 - there is a board of it
    scores = {
        run.submission: score
        for run in bench.ledger.runs.all(stage=earlier.path, version_sha256=version.sha256)
        if run.team == team and (score := bench.ledger.runs.score(run.run_key)) is not None
    }
    received = [one for one in bench.ledger.submissions.all(stage=earlier.path, team=team) if one.id in scores]
    return pick_counting(version, received, scores, pick).id


def _rules(ref: StageRef) -> str:
    """Name the rulebook that evaluates one run: in a tournament a defence is run on one set at a time."""
    return MATCH if ref.is_tournament and side_of(ref.track)[1] == "defence" else ref.rules


def _changes(old: Version, new: Version) -> str:
    before, after = old.bound_to(), new.bound_to()
    return "; ".join(f"{name} is another" for name in before if before[name] != after[name])
