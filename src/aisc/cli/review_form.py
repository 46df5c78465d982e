"""``aisc review-form``: the experts' empty table, and how much of each team's code a known solution holds too."""

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, StageName, emit, progress, say
from aisc.cli.next_step import next_step
from aisc.cli.workspace import open_workspace
from aisc.errors import UsageError
from aisc.evaluations import evaluation_of
from aisc.stages.sweep_stage import taking_part

if TYPE_CHECKING:
    from copydetect import CodeFingerprint

SIMILARITY: Final = "similarity"
SUFFIXES: Final = frozenset(
    ".py .pyx .ipynb .c .cc .cpp .cu .cuh .h .hpp .java .js .ts .jl .m .r .go .rs .sh".split()  # noqa: SIM905
)
"""Files that are read as code; whatever else lies in a folder says nothing about who wrote it."""
RUN: Final = 25
"""Shortest run of characters that counts as found, once names, strings, comments and blanks are reduced to signs."""
LARGEST_FILE: Final = 1 << 20
"""Longer files are data or made by a program."""


class Known(NamedTuple):
    """A known solution: its name, and the fingerprints of all its files."""

    name: str
    prints: frozenset[int]


class Likeness(NamedTuple):
    """How much of a team's code is found in the known solution that holds most of it.

    Attributes:
        share: In [0, 1]; ``None`` where there is no code to compare.
        solution: The solution's name, ``""`` where nothing was found.
    """

    share: float | None
    solution: str


def review_form(
    stage: StageName,
    to: Annotated[Path, typer.Option(help="New CSV file.")],
    code: Annotated[
        Path | None, typer.Option(help="Folder of the teams' code: a sub-folder a team, named as it is.")
    ] = None,
    known: Annotated[
        Path | None, typer.Option(help="Folder of known open-source solutions: a sub-folder or a file each.")
    ] = None,
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Write the table that experts fill in for a stage, one row a team that takes part.

    With --code and --known the column similarity gets the largest share of a team's code that one known solution holds
    too. It is a measurement that experts weigh; it decides nothing.

    Example: aisc review-form driving/judgment --to form.csv --code ./code --known ./known
    """  # fmt: skip
    if to.exists():
        raise UsageError("REVIEW_FORM_EXISTS", f"{to} is there already.", "Name a new file; experts may be at work.")
    with open_workspace(season) as workspace:
        ref = workspace.season.stage(stage)
        teams = list(taking_part(workspace.bench, ref))
        if not teams:
            first = next_step(workspace, ref)
            raise UsageError("REVIEW_FORM_EMPTY", f"Nobody takes part in {stage} yet.", first)
    columns = list(evaluation_of(ref.rules).review_form(ref.name, entered=ref.stage.results == "entered").model_fields)
    likenesses = {} if code is None and known is None else measure_teams(teams, *_folders(code, known, columns))
    to.write_text(_table(columns, teams, likenesses), encoding="utf-8")
    found = {"form": to, "teams": {team: likenesses.get(team, Likeness(None, ""))._asdict() for team in teams}}

    def render() -> None:
        for team, (share, solution) in likenesses.items():
            where = f" of its code is found in {solution}" if solution else " of its code is found anywhere"
            say(f"{team}: no code in {code}" if share is None else f"{team}: {share:.1%}{where}")
        say(f"Wrote {to}: {len(teams)} teams, columns {', '.join(columns)}.")

    emit(found, as_json, render)


def measure_teams(teams: list[str], code: Path, known: Path) -> dict[str, Likeness]:
    """Compare every team's folder with every known solution.

    Args:
        teams: Names of teams.
        code: Holds a sub-folder a team; a team without one has no likeness.
        known: Holds the known solutions.

    Raises:
        UsageError: ``KNOWN_SOLUTIONS_EMPTY`` when there is no code to compare with.
    """
    # By listing, never by joining: a team's name is not made into a path.
    folders = {path.name: path for path in code.iterdir() if path.is_dir()}
    solutions = [
        Known(path.name, frozenset().union(*(one.hashes for one in fingerprints(path))))
        for path in sorted(known.iterdir())
    ]
    if not any(solution.prints for solution in solutions):
        raise UsageError(
            "KNOWN_SOLUTIONS_EMPTY",
            f"{known} holds no code.",
            f"Read are files ending in {', '.join(sorted(SUFFIXES))}.",
        )
    found = {}
    with progress("comparing code") as tick:
        for number, team in enumerate(teams):
            found[team] = (
                compare(list(fingerprints(folders[team])), solutions) if team in folders else Likeness(None, "")
            )
            tick(number + 1, len(teams))
    return found


def compare(files: "list[CodeFingerprint]", solutions: list[Known]) -> Likeness:
    """Find the known solution that holds most of some files.

    The share is that of the reduced characters that lie in runs which the solution holds too (Schleimer, Wilkerson and
    Aiken, "Winnowing", SIGMOD 2003), over all characters that lie in runs at all.
    """
    from copydetect.utils import get_token_coverage

    total = sum(one.token_coverage for one in files)
    if not total:
        return Likeness(None, "")
    best = Likeness(0.0, "")
    for solution in solutions:
        covered = 0.0
        for one in files:
            places = {mark: at for mark, at in one.hash_idx.items() if mark in solution.prints}
            covered += get_token_coverage(places, RUN, len(one.filtered_code))
        if covered / total > (best.share or 0.0):
            best = Likeness(float(covered / total), solution.name)
    return best


def fingerprints(path: Path) -> "Iterator[CodeFingerprint]":
    """Take the fingerprints of a file, or of every file of code below a folder; links are not followed."""
    from copydetect import CodeFingerprint

    for file in _code_files(path):
        text = file.read_text(encoding="utf-8", errors="replace")
        name = file.name
        if file.suffix.lower() == ".ipynb":
            text, name = _notebook_code(text), f"{file.stem}.py"
        # A window of one keeps every run: what is kept of a wider one depends on the process's hash seed.
        yield CodeFingerprint(name, RUN, 1, fp=io.StringIO(text))


def _code_files(path: Path) -> Iterator[Path]:
    if path.is_dir() and not path.is_symlink():
        files = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    else:
        files = [path]
    for file in sorted(files):
        readable = file.is_file() and not file.is_symlink() and file.stat().st_size <= LARGEST_FILE
        if readable and file.suffix.lower() in SUFFIXES:
            yield file


def _notebook_code(text: str) -> str:
    """Give the code cells of a notebook; one that is no notebook is compared as it stands."""
    try:
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        return "\n".join("".join(cell["source"]) for cell in cells)
    except (ValueError, KeyError, TypeError):
        return text


def _folders(code: Path | None, known: Path | None, columns: list[str]) -> tuple[Path, Path]:
    if SIMILARITY not in columns:
        raise UsageError(
            "REVIEW_FORM_WITHOUT_CODE", "The experts of this stage are not asked about code.",
            "Leave --code and --known out.",
        )  # fmt: skip
    if code is None or known is None:
        raise UsageError(
            "REVIEW_FORM_FOLDERS", "Code is compared with known solutions: one of the two folders is not given.",
            "Give both --code and --known.",
        )  # fmt: skip
    for folder in (code, known):
        if not folder.is_dir():
            raise UsageError("FOLDER_MISSING", f"{folder} is no folder.", "Give the folder that holds the code.")
    return code, known


def _table(columns: list[str], teams: list[str], likenesses: dict[str, Likeness]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for team in teams:
        share = likenesses[team].share if team in likenesses else None
        # A team's name is checked when it is added and begins with a letter, a digit or "_": inert in a spreadsheet.
        writer.writerow({"team": team} | ({} if share is None else {SIMILARITY: f"{share:.3f}"}))
    return out.getvalue()
