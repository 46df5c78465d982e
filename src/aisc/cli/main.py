"""``aisc``: the commands, and what becomes of an error."""

import os
import sys
import traceback
from typing import Annotated

import typer
from typer.exceptions import TyperException

from aisc import __version__
from aisc.cli import (
    boards,
    competing,
    data,
    demo,
    doctor,
    pipelines,
    review_form,
    reviews,
    rounds,
    runs,
    seasons,
    teams,
    tournament,
    victims,
)
from aisc.cli.console import complain, err
from aisc.errors import AiscError, UsageError

INTERRUPTED = 130
"""What shells call a program that Ctrl-C ended."""

app = typer.Typer(
    name="aisc",
    help="Run AI-security competitions: seasons, submissions, rounds, boards.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, commands in (
    ("season", seasons.app),
    ("data", data.app),
    ("victims", victims.app),
    ("team", teams.app),
    ("round", rounds.app),
    ("tournament", tournament.app),
    ("leaderboard", boards.app),
    ("pipelines", pipelines.app),
    ("runs", runs.app),
):
    app.add_typer(commands, name=name)
for command in (
    demo.demo,
    competing.check,
    competing.submit,
    competing.status,
    competing.results,
    reviews.review,
    review_form.review_form,
    rounds.rescore,
    doctor.doctor,
):
    app.command()(command)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"aisc {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Run AI-security competitions: seasons, submissions, rounds, boards."""


def main() -> None:
    """Run the command line: 0 done, 1 the run failed, 2 wrong use, 3 the submission was refused, 4 our fault."""
    as_json = "--json" in sys.argv
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:
            err.print("Interrupted.")
        sys.exit(code)
    except AiscError as error:
        complain(error, as_json)
        sys.exit(error.exit_code)
    except TyperException as error:
        if as_json:
            complain(_wrong_use(error), as_json)
        else:
            error.show()  # type: ignore[attr-defined]  # all that a parser raises can show usage and a hint
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output has gone; that is no error. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception:  # everything that has no code yet is the platform's fault
        traceback.print_exc()
        err.print("INTERNAL_ERROR This is a fault of aisc; the lines above help to find it.", style="bold red")
        sys.exit(4)


def _wrong_use(error: TyperException) -> UsageError:
    """Give the parser's error the three parts that programs are promised."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "aisc"
    return UsageError("USAGE", error.format_message(), f"'{command} --help' shows how it is used.")
