"""``aisc team``: who may submit."""

from typing import Annotated

import typer

from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, emit, say, table
from aisc.cli.workspace import open_workspace

app = typer.Typer(help="Register and list teams.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The team's name.")],
    email: Annotated[str | None, typer.Option(help="One address; it belongs to one team.")] = None,
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Register a team.

    Example: aisc team add "Patch Adams" --email patch@example.org
    """
    with open_workspace(season) as workspace:
        team = workspace.bench.ledger.teams.add(name, email)
    emit(team._asdict(), as_json, lambda: say(f"Registered {team.name} ({team.id})."))


@app.command("list")
def list_teams(season: SeasonFile = DEFAULT_SEASON, as_json: Json = False) -> None:
    """List the teams.

    Example: aisc team list
    """
    with open_workspace(season) as workspace:
        teams = workspace.bench.ledger.teams.all()
    rows = [(team.name, team.email, team.created_at, team.id) for team in teams]
    emit([team._asdict() for team in teams], as_json, lambda: table("", ["Team", "E-mail", "Since (UTC)", "Id"], rows))
