"""The rows of a final's board, and the matrix that both boards of a tournament show."""

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.evaluations import evaluation_of
from aisc.evaluations.safair_match import CLEAN_ACCURACY, rightness_on
from aisc.leaderboard.entry import Entry, Interval, Part
from aisc.leaderboard.matrix import Matrix, Side
from aisc.ledger.competition import Review
from aisc.ledger.runs import Run
from aisc.metrics.tournament import Standing, Tournament, hold_tournament
from aisc.season import Season, StageRef
from aisc.stages.once import fetch_output
from aisc.stages.rows import reviewed, scoreless_row, unscored_row
from aisc.stages.tournament import FAILED_STATES, Contestant, Finals, contestants, finals_with, matches
from aisc.tracks.safair_teams import side_of
from aisc.workbench import Workbench

WINNER: Final = "winner"
DIFFERING: Final = "second answers that differ"
OUTSIDE: Final = "outside a sandbox"
Cells = dict[tuple[str, str], NDArray[np.float64]]


class Judged(NamedTuple):
    """A tournament, its finished cells, and the runs of all of them as far as they were queued."""

    held: Tournament
    cells: Cells
    runs: dict[tuple[str, str], Run | None]


def gather_final(bench: Workbench, season: Season, stage: str) -> tuple[list[Entry], Matrix | None]:
    """Gather the rows of one of the two finals, and the matrix; no matrix while one side has nobody in it."""
    ref, finals = season.stage(stage), finals_with(season, stage)
    side = side_of(ref.track)[1]
    sides = {"attack": contestants(bench, finals.attack), "defence": contestants(bench, finals.defence)}
    everybody = sides[side]
    attacks, defences = ([one for one in those if one.stands] for those in sides.values())
    reviews = bench.ledger.reviews.latest(stage)
    if not attacks or not defences:
        return [_row_without_match(bench, ref, one, reviews.get(one.team)) for one in everybody], None
    judged = _judge(bench, season, finals, attacks, defences, ref)
    standings = judged.held.attacks if side == "attack" else judged.held.defences
    by_team = {standing.name: standing for standing in standings}
    rows = [
        _row(bench, ref, one, by_team[one.team], judged, reviews.get(one.team))
        if one.stands
        else _row_without_match(bench, ref, one, reviews.get(one.team))
        for one in everybody
    ]
    return rows, _matrix(side, judged.held, [one.team for one in attacks], [one.team for one in defences])


def _judge(
    bench: Workbench,
    season: Season,
    finals: Finals,
    attacks: list[Contestant],
    defences: list[Contestant],
    ref: StageRef,
) -> Judged:
    """Turn the runs that have ended well, or badly by the defence's fault, into deltas image by image."""
    played = matches(bench, season, finals, attacks, defences)
    clean = {one.team: _right(bench, one.run) for one in defences if one.run is not None and one.run.state == "scored"}
    cells: Cells = {
        pair: 100 * (clean[pair[1]] - _right(bench, match.run))
        for pair, match in played.items()
        if match.run is not None and (match.run.state == "scored" or match.run.state in FAILED_STATES)
    }
    names = [one.team for one in attacks], [one.team for one in defences]
    held = hold_tournament(*names, cells, digits=ref.stage.rounding, seed=ref.stage.seed)
    return Judged(held, cells, {pair: match.run for pair, match in played.items()})


def _right(bench: Workbench, run: Run) -> NDArray[np.float64]:
    """Give how right a defence was on each image; one that failed as a whole was wrong on all that count."""
    version = bench.ledger.runs.plan(run.run_key).version
    if run.state in FAILED_STATES:
        return rightness_on(bench, version, None)
    with bench.scratch() as scratch:
        content = Path(scratch, "content")
        fetch_output(bench, run.run_key, "run_submission", "content", content)
        return rightness_on(bench, version, content)


def _row(
    bench: Workbench, ref: StageRef, one: Contestant, standing: Standing, judged: Judged, review: Review | None
) -> Entry:
    own = [run for pair, run in judged.runs.items() if one.team == pair[0 if _attacks(ref) else 1]]
    if standing.mean is None or standing.behind is None:
        lost = one.run is not None and one.run.state == "quarantined"
        lost = lost or any(run is not None and run.state == "quarantined" for run in own)
        reason = f"{standing.finished} of {standing.cells} cells are there; no mean before all are."
        reason += " Our fault: an operator is told." if lost else ""
        return _waiting_row(one, "MATRIX_UNFINISHED", reason)
    state, code, reason = reviewed(ref, review if review and review.content["submission"] == one.receipt.id else None)
    version = bench.ledger.stages.pinned(ref.path)
    winners = judged.held.winners()[0 if _attacks(ref) else 1]
    ended = [run.finished_at for run in own if run is not None and run.finished_at is not None]
    return Entry(
        team=one.team,
        submission=one.receipt.id,
        state=state,
        submitted_at=one.receipt.received_at,
        evaluated_at=max(ended, default=None),
        score=standing.mean.mean,
        interval=Interval(standing.mean.low, standing.mean.high),
        version=version.sha256 if version else "",
        reason_code=code,
        reason=reason,
        parts=(
            *_own_parts(bench, [one.run] if _attacks(ref) else [one.run, *own]),
            *_behind(standing),
        ),
        flags=(WINNER,) if one.team in winners and state == "scored" else (),
    )


def _own_parts(bench: Workbench, runs: list[Run | None]) -> list[Part]:
    """Tell what a team's own runs have shown, the attack's generation or the defence's clean pass first.

    Of a defence how right it is on clean images, of an attack how many of its images count; of all its runs what the
    gates found, because a remark on one of them concerns the place.
    """
    told = [score.parts for run in runs if run is not None and (score := bench.ledger.runs.score(run.run_key))]
    parts = [Part(name, told[0][name]) for name in (CLEAN_ACCURACY, "images that count") if told and name in told[0]]
    if any(DIFFERING in one for one in told):
        parts.append(Part(DIFFERING, sum(one.get(DIFFERING, 0) for one in told)))
    if any(OUTSIDE in one for one in told):
        parts.append(Part(OUTSIDE, 1))
    return parts


def _behind(standing: Standing) -> list[Part]:
    """Tell how far the first place is away, with its paired interval; what every opponent cost stands in the matrix."""
    assert standing.behind is not None  # noqa: S101 - the line is finished
    low, mean, high = standing.behind
    return [Part("behind the first", mean), Part("behind, low", low), Part("behind, high", high)]


def _row_without_match(bench: Workbench, ref: StageRef, one: Contestant, review: Review | None) -> Entry:
    """Say why a team has no line in the matrix."""
    if review is not None and review.content["submission"] == one.receipt.id and one.run is not None:
        state, code, reason = reviewed(ref, review)
        if state == "disqualified":
            return scoreless_row(state, one.team, one.receipt, one.run, 1, code, reason)
    version = bench.ledger.stages.pinned(ref.path)
    score = bench.ledger.runs.score(one.run.run_key) if one.run is not None else None
    void = evaluation_of(version.rules).void(score, version.limits) if version and score else None
    if void is not None and one.run is not None:
        return scoreless_row("void", one.team, one.receipt, one.run, 1, *void)
    if one.run is None or one.stands:
        return _waiting_row(one, "MATRIX_UNFINISHED", "There is no opponent to meet yet.")
    return unscored_row(one.team, one.receipt, one.run, 1)


def _waiting_row(one: Contestant, code: str, reason: str) -> Entry:
    return Entry(
        team=one.team,
        submission=one.receipt.id,
        state="unfinished",
        submitted_at=one.receipt.received_at,
        reason_code=code,
        reason=reason,
    )


def _matrix(side: Side, held: Tournament, attacks: list[str], defences: list[str]) -> Matrix:
    """Lay the matrix out best first on both sides."""
    rows = [attacks.index(standing.name) for standing in held.attacks]
    columns = [defences.index(standing.name) for standing in held.defences]
    deltas = held.deltas[np.ix_(rows, columns)].tolist()
    return Matrix(
        side=side,
        attacks=tuple(standing.name for standing in held.attacks),
        defences=tuple(standing.name for standing in held.defences),
        deltas=tuple(tuple(None if np.isnan(cell) else cell for cell in row) for row in deltas),
    )


def _attacks(ref: StageRef) -> bool:
    return side_of(ref.track)[1] == "attack"
