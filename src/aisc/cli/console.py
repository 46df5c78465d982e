"""What a person sees: tables, progress, errors; or JSON for a program."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from aisc.errors import AiscError
from aisc.season import SeasonError

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of text for a person.")]
SeasonFile = Annotated[
    Path, typer.Option("--season", "-s", envvar="AISC_SEASON", help="The season file.", show_default=True)
]
DEFAULT_SEASON = Path("season.yaml")
StageName = Annotated[str, typer.Argument(metavar="TRACK/STAGE", help="Such as face/preliminary.")]

# Where nobody's window sets the width, a table is as wide as it needs to be.
WIDE = 200
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def emit(value: object, as_json: bool, render: Callable[[], None]) -> None:
    """Print a value as JSON, or let ``render`` show it to a person."""
    if as_json:
        print(json.dumps(value, indent=2, default=_plain, ensure_ascii=False))
    else:
        render()


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; cells are text, never markup."""
    shown = Table(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(_cell(cell) for cell in row))
    out.print(shown)


def say(text: str) -> None:
    """Print a line without reading markup in it."""
    out.print(text, markup=False)


def complain(error: AiscError, as_json: bool) -> None:
    """Print an error: code, sentence, remedy."""
    if as_json:
        fault: dict[str, object] = {
            "code": error.code,
            "message": error.message,
            "remedy": error.remedy,
            "party": error.party,
        }
        if isinstance(error, SeasonError):
            fault["problems"] = [problem._asdict() for problem in error.problems]
        print(json.dumps({"error": fault}, indent=2, ensure_ascii=False))
        return
    err.print(f"{error.code}", style="bold red", end=" ")
    err.print(error.message, markup=False)
    if error.remedy:
        err.print(f"→ {error.remedy}", markup=False)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress: a bar on a terminal, a line a tenth elsewhere. Yields a function of (done, all)."""
    if err.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=err, transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    said = -1

    def line(done: int, total: int) -> None:
        nonlocal said
        tenth = 10 * done // max(total, 1)
        if tenth > said:
            said = tenth
            print(f"{what}: {done}/{total}", file=sys.stderr, flush=True)

    yield line


def when(moment: datetime | None) -> str:
    """Write an instant in UTC to the second."""
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return when(value)
    text = f"{value:.6f}" if isinstance(value, float) else str(value)
    return text.replace("[", r"\[")


def _plain(value: object) -> Any:  # noqa: ANN401 - json's own signature
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
