"""A board as one static page: no server, no font, no script from elsewhere; it reads well without any script at all."""

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import resources
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from aisc.leaderboard.board import Board
from aisc.leaderboard.drawing import SPARK_HEIGHT, SPARK_WIDTH, Spark, SparkFrame, Whisker, score_axis
from aisc.leaderboard.entry import Entry
from aisc.leaderboard.heat_map import draw_matrix
from aisc.leaderboard.ranking import Ranked

_STATES: Mapping[str, str] = {
    "refused": "Refused",
    "failed": "Failed",
    "void": "Void",
    "disqualified": "Disqualified",
    "awaiting-review": "Awaiting review",
    "withdrawn": "Withdrawn",
    "unfinished": "Unfinished",
}
_PART_DIGITS = 4
"""Decimals of a part on the page; the files beside it carry all that are published."""


class Link(NamedTuple):
    """A file beside the page: what it is called on it, and its relative address."""

    text: str
    href: str


class Links(NamedTuple):
    """Where the page leads.

    Attributes:
        files: The board in other forms: JSON, CSV, signature, public key.
        previous: Earlier boards of the same stage, newest first.
        home: The page that lists all stages, ``""`` without one.
    """

    files: tuple[Link, ...] = (Link("board.json", "board.json"), Link("board.csv", "board.csv"))
    previous: tuple[Link, ...] = ()
    home: str = ""


class Listed(NamedTuple):
    """A board on the index page, and the relative address of its page."""

    board: Board
    href: str


class _Cell(NamedTuple):
    name: str
    text: str
    value: str


class _Row(NamedTuple):
    rank: int
    place: str
    tied: bool
    team: str
    advances: bool
    flags: tuple[str, ...]
    last_in: bool
    score: str
    score_value: str
    interval: str
    interval_value: str
    whisker: Whisker | None
    spark: Spark | None
    change_value: str
    parts: tuple[_Cell, ...]
    submissions: int
    submitted_at: datetime
    submission: str


class _Unranked(NamedTuple):
    team: str
    state: str
    code: str
    reason: str
    provisional: str
    submitted_at: datetime
    submission: str
    flags: tuple[str, ...]


class _Digest(NamedTuple):
    name: str
    text: str
    whole: str


def render_board(board: Board, *, links: Links | None = None, key_fingerprint: str = "") -> str:
    """Render a board as one self-contained HTML page.

    Args:
        board: What to show; everything on the page comes from it, so the page is reproducible.
        links: Files and pages to lead to.
        key_fingerprint: Name of the public key that the board is signed with, ``""`` for an unsigned one.

    Returns:
        The page, UTF-8 when encoded. Its content security policy allows its own style and script by their hashes and
        nothing else: no request leaves the page.
    """
    axis = score_axis(board)
    return _render(
        "board.html.j2",
        board=board,
        links=Links() if links is None else links,
        key_fingerprint=key_fingerprint,
        rows=_rows(board),
        unranked=[_unranked(entry, board.measure.digits) for entry in board.unranked],
        part_names=board.part_names,
        ticks=axis.ticks(),
        leader=axis.whisker(board.ranked[0].entry) if board.ranked else None,
        has_intervals=any(row.entry.interval for row in board.ranked),
        has_history=any(row.entry.history for row in board.ranked),
        bound=_bound(board),
        sha256=board.sha256,
        spark_size=(SPARK_WIDTH, SPARK_HEIGHT),
        advancing=sum(row.entry.advances for row in board.ranked),
        heat=None if board.matrix is None else draw_matrix(board.matrix),
    )


def render_index(boards: Sequence[Listed], *, title: str) -> str:
    """Render the page that lists the boards of all stages, grouped by season and track in the order given."""
    groups: dict[tuple[str, str], list[tuple[Listed, str]]] = {}
    for listed in boards:
        board = listed.board
        best = f"{board.ranked[0].entry.score:.{board.measure.digits}f}" if board.ranked else ""
        groups.setdefault((board.season, board.track), []).append((listed, best))
    return _render("index.html.j2", title=title, groups=groups)


def _render(template: str, **values: object) -> str:
    style, script = _asset("page.css"), _asset("page.js")
    return _ENVIRONMENT.get_template(template).render(
        style=Markup(style),  # noqa: S704 - our own file, and the policy below names it by its hash
        script=Markup(script),  # noqa: S704 - as above
        style_hash=_csp_hash(style),
        script_hash=_csp_hash(script),
        **values,
    )


def _asset(name: str) -> str:
    return resources.files("aisc.leaderboard").joinpath("templates", name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _rows(board: Board) -> list[_Row]:
    axis, frame = score_axis(board), SparkFrame.of(board)
    going = [index for index, row in enumerate(board.ranked) if row.entry.advances]
    rows: list[_Row] = []
    for index, ranked in enumerate(board.ranked):
        spark = None if frame is None else frame.draw(ranked.entry)
        last_in = bool(going) and index == going[-1] and index + 1 < len(board.ranked)
        rows.append(_row(ranked, board, axis.whisker(ranked.entry), spark, last_in=last_in))
    return rows


def _row(ranked: Ranked, board: Board, whisker: Whisker | None, spark: Spark | None, *, last_in: bool) -> _Row:
    entry, digits = ranked.entry, board.measure.digits
    parts = {part.name: part.value for part in entry.parts}
    history = [past.score for past in entry.history]
    gain = "" if not history or entry.score is None else repr(entry.score - history[0])
    return _Row(
        rank=ranked.rank,
        place=f"{ranked.rank}=" if ranked.tied else str(ranked.rank),
        tied=ranked.tied,
        team=entry.team,
        advances=entry.advances,
        flags=entry.flags,
        last_in=last_in,
        score=f"{entry.score:.{digits}f}",
        score_value=repr(entry.score),
        interval=_interval(entry, digits),
        interval_value="" if entry.interval is None else repr(entry.interval.low),
        whisker=whisker,
        spark=spark,
        change_value=gain,
        parts=tuple(_cell(name, parts.get(name), digits) for name in board.part_names),
        submissions=entry.submissions,
        submitted_at=entry.submitted_at,
        submission=entry.submission,
    )


def _unranked(entry: Entry, digits: int) -> _Unranked:
    return _Unranked(
        team=entry.team,
        state=_STATES[entry.state],
        code=entry.reason_code,
        reason=entry.reason,
        provisional="" if entry.score is None else f"{entry.score:.{digits}f}",
        submitted_at=entry.submitted_at,
        submission=entry.submission,
        flags=entry.flags,
    )


def _interval(entry: Entry, digits: int) -> str:
    """Show an interval with two significant digits of its half width; more would be noise."""
    if entry.interval is None:
        return ""
    half = (entry.interval.high - entry.interval.low) / 2
    # An interval of no width, such as that of an attack that never succeeds, has no noise to hide: four digits do.
    shown = min(digits, 4) if half == 0 else min(digits, max(0, 1 - math.floor(math.log10(half))))
    return f"{entry.interval.low:.{shown}f} to {entry.interval.high:.{shown}f}"


def _cell(name: str, value: float | None, digits: int) -> _Cell:
    if value is None:
        return _Cell(name, "", "")
    text = f"{value:,}" if isinstance(value, int) else f"{value:.{min(digits, _PART_DIGITS)}f}"
    return _Cell(name, text, repr(value))


def _bound(board: Board) -> list[_Digest]:
    version = board.version
    named = [("code", version.code), *(("data " + name, sha) for name, sha in sorted(version.data.items()))]
    named += [("victim " + name, sha) for name, sha in sorted(version.victims.items())]
    return [_Digest(name, whole[:10], whole) for name, whole in named]


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _long_date(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


_ENVIRONMENT = Environment(
    loader=PackageLoader("aisc.leaderboard"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["utc"] = _utc
_ENVIRONMENT.filters["long_date"] = _long_date
