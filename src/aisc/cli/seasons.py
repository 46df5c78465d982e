"""``aisc season``: write, check and show a season file."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, emit, say, table, when
from aisc.errors import UsageError
from aisc.season import TEMPLATE_TRACKS, load_season, season_digest, season_schema, season_text

app = typer.Typer(help="Write, check and show the season file.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="The season file.")]


@app.command()
def init(
    file: File = DEFAULT_SEASON,
    name: Annotated[str, typer.Option(help="The season's name.")] = "aisc-2022-dev",
    start: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day; today if not given.")] = None,
    timezone: Annotated[str, typer.Option(help="IANA name of the time zone.")] = "UTC",
    title: Annotated[str | None, typer.Option(help="Title of the published pages.")] = None,
    track: Annotated[
        list[str] | None, typer.Option(help=f"A track of the season, again for more: {', '.join(TEMPLATE_TRACKS)}.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a commented season file with the tracks of AISC 2022.

    Example: aisc season init season.yaml --name aisc-2026 --start 2026-03-01
    """
    if file.exists():
        raise UsageError("SEASON_EXISTS", f"{file} exists already.", "Choose another name, or edit that file.")
    first = start.date() if start else datetime.now(UTC).date()
    unknown = set(track or ()) - set(TEMPLATE_TRACKS)
    if unknown:
        raise UsageError(
            "TRACK_UNKNOWN", f"There is no track {sorted(unknown)[0]!r}.", f"Name one of: {', '.join(TEMPLATE_TRACKS)}."
        )
    text = season_text(name, first, timezone, title, track or TEMPLATE_TRACKS)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    season = load_season(file)
    steps = f"Wrote {file}. Next: edit it, then 'aisc season check {file}', 'aisc data make NAME'."
    emit({"file": file, "season": season.season}, as_json, lambda: say(steps))


@app.command()
def check(file: File = DEFAULT_SEASON, as_json: Json = False) -> None:
    """Check a season file and report everything that is wrong with it.

    Example: aisc season check season.yaml
    """
    season = load_season(file)
    stages = [ref.path for ref in season.stages()]
    found = {"file": file, "season": season.season, "sha256": season_digest(season), "stages": stages}
    emit(found, as_json, lambda: say(f"{file} is fine: season {season.season}, {len(stages)} stages."))


@app.command()
def show(
    season: SeasonFile = DEFAULT_SEASON,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of season files instead.")] = False,
    as_json: Json = False,
) -> None:
    """Show the stages of a season with their times and limits.

    Example: aisc season show
    """
    if schema:
        print(json.dumps(season_schema(), indent=2))
        return
    known = load_season(season)
    now = datetime.now(UTC)

    def render() -> None:
        say(f"{known.season}  {season_digest(known)[:12]}  times in UTC, days in {known.timezone}")
        rows = []
        for ref in known.stages():
            stage = ref.stage
            state = "open" if stage.is_open(now) else "closed" if now >= stage.closes else "not yet"
            source = "uploads" if stage.takes_uploads else f"entries of {stage.after}"
            source += f" by teams of {stage.after}" if stage.uploads else ""
            quota = f"{stage.quota.per_day or '∞'} a day, {stage.quota.total or '∞'} in all"
            quota = quota if stage.takes_uploads else ""
            rows.append(
                (ref.path, state, when(stage.opens), when(stage.closes), source, quota, " ".join(stage.victims))
            )
        table("", ["Stage", "Now", "Opens", "Closes", "Takes", "Quota", "Victims"], rows)

    emit(known.model_dump(mode="json"), as_json, render)
