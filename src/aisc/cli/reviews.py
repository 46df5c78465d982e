"""``aisc review``: experts' verdicts and results that organizers enter."""

import csv
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, StageName, emit, table
from aisc.cli.workspace import open_workspace
from aisc.errors import UsageError
from aisc.evaluations import evaluation_of
from aisc.season import StageRef
from aisc.stages.sweep_stage import taking_part


def review(
    stage: StageName,
    file: Annotated[Path, typer.Argument(help="CSV; its columns are those of the stage's form.")],
    reviewer: Annotated[str, typer.Option(help="Who says so; kept on record.")],
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Enter what people decided, all rows or none; the last word on a team counts, the earlier ones stay on record.

    Computed stages take the columns team, verdict (pass or fail), note; a physical final takes team, targets,
    deceived, area_cm2, liveness (passed or failed).

    Example: aisc review face/evaluation verdicts.csv --reviewer "Jury 2"
    """
    with open_workspace(season) as workspace:
        ref = workspace.season.stage(stage)
        contents = read_reviews(file, ref, taking_part(workspace.bench, ref))
        workspace.bench.ledger.reviews.add(stage, reviewer, contents)
    shown = [[team, *content.values()] for team, content in contents.items()]
    columns = ["team", *next(iter(contents.values()))]
    emit({"stage": stage, "reviews": contents}, as_json, lambda: table(f"Entered for {stage}", columns, shown))


def read_reviews(file: Path, ref: StageRef, entries: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Read a review table; every wrong row is named.

    Args:
        file: The table.
        ref: The stage.
        entries: Who takes part, and with which submission; a review speaks of that submission alone.

    Returns:
        What is said of every team, with the submission that it is said of.

    Raises:
        UsageError: ``REVIEW_FILE`` or ``REVIEW_ROWS``, with one line a problem.
    """
    form = evaluation_of(ref.rules).review_form(ref.name, entered=ref.stage.results == "entered")
    wanted = list(form.model_fields)
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("REVIEW_FILE", f"{file} cannot be read: {error}.", "Give a CSV file in UTF-8.") from error
    reader = csv.DictReader(lines)
    given = reader.fieldnames or []
    required = [name for name, field in form.model_fields.items() if field.is_required()]
    if not set(required) <= set(given) or not set(given) <= set(wanted):
        raise UsageError(
            "REVIEW_FILE",
            f"{file} has the columns {', '.join(given) or 'of an empty file'}.",
            f"The form asks for {', '.join(wanted)}.",
        )
    names = {team.casefold(): team for team in entries}
    contents: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for raw in reader:
        where = f"{file.name}, line {reader.line_num}"
        try:
            row = form.model_validate({name: value for name, value in raw.items() if value not in (None, "")})
        except ValidationError as error:
            problems += [
                f"{where}: {'.'.join(map(str, e['loc'])) or 'row'} = {e['input']!r}: {e['msg']}."
                for e in error.errors()
            ]
            continue
        content = row.model_dump()
        team = names.get(str(content.pop("team")).casefold())
        if team is None:
            problems.append(f"{where}: {raw['team']!r} has no entry in {ref.path} (yet).")
        elif team in contents:
            problems.append(f"{where}: {team!r} is listed twice.")
        else:
            contents[team] = content | {"submission": entries[team]}
    if not contents and not problems:
        problems.append(f"{file.name} has no rows.")
    if problems:
        raise UsageError("REVIEW_ROWS", "\n".join(["Nothing was entered.", *problems]), "Mend these lines.")
    return contents
