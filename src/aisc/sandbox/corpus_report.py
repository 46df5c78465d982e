"""Run the corpus against every driver of this machine and print what was tried and what was blocked."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from aisc.errors import AiscError
from aisc.sandbox.attacks import read_corpus
from aisc.sandbox.choose import INSTALL, available_drivers
from aisc.sandbox.corpus import Attempt, CorpusReport, run_corpus


def attempts_table(report: CorpusReport) -> Table:
    """One row an attack."""
    table = Table(title=f"{report.driver}: {len(report.attempts)} attacks tried, {report.blocked} blocked")
    for column in ("threat", "program", "verdict", "blocked", "seconds", "why not"):
        table.add_column(column, justify="right" if column == "seconds" else "left", overflow="fold")
    for attempt in report.attempts:
        blocked = "[green]yes" if attempt.blocked else "[bold red]NO"
        why = "\n".join(attempt.failures)
        name, threats = attempt.attack.name, " ".join(attempt.attack.threats)
        table.add_row(threats, name, attempt.verdict, blocked, f"{attempt.seconds:.1f}", why)
    for name, why in report.not_tried:
        table.add_row("", name, "", "[yellow]not tried", "", why)
    return table


def summary_table(reports: Sequence[CorpusReport], missing: Sequence[str]) -> Table:
    """One row a driver."""
    table = Table(title="Hostile corpus")
    for column in ("driver", "tried", "blocked", "not tried", "may run strangers' code"):
        table.add_column(column, overflow="fold")
    for report in reports:
        answer = "[green]yes" if report.passed else "[bold red]NO"
        counts = (len(report.attempts), report.blocked, len(report.not_tried))
        table.add_row(report.driver, *map(str, counts), answer)
    for reason in missing:
        name, _, why = reason.partition(": ")
        table.add_row(name, "", "", "", f"[yellow]not here: {why}")
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m aisc.sandbox.corpus``: 0 if each driver found blocks everything, 1 if not, 2 without a driver."""
    parser = argparse.ArgumentParser(prog="aisc.sandbox.corpus", description=main.__doc__)
    parser.add_argument("--driver", help="only this one, such as docker+runsc")
    parser.add_argument("--docker", help="where the Docker daemon listens, such as unix:///run/docker.sock")
    parser.add_argument("--only", default="", help="only programs whose name starts so, such as T14")
    chosen = parser.parse_args(arguments)
    console = Console()
    corpus = [attack for attack in read_corpus() if attack.name.startswith(chosen.only)]
    with tempfile.TemporaryDirectory(prefix="aisc-images-") as images:
        Path(images).chmod(0o711)
        drivers, missing = available_drivers(Path(images), chosen.docker)
        drivers = [driver for driver in drivers if chosen.driver in (None, driver.name)]
        if not drivers:
            console.print(f"No sandbox to try. {' '.join(missing)}\n{INSTALL}")
            return 2
        try:
            reports = [run_corpus(driver, corpus, lambda attempt: _say(console, attempt)) for driver in drivers]
        except AiscError as error:
            console.print(str(error))
            return error.exit_code
    for report in reports:
        console.print(attempts_table(report))
    console.print(summary_table(reports, missing))
    return 0 if all(report.passed for report in reports) else 1


def _say(console: Console, attempt: Attempt) -> None:
    mark = "blocked" if attempt.blocked else "NOT BLOCKED: " + "; ".join(attempt.failures)
    console.print(f"{attempt.attack.name}: {attempt.verdict}, {mark}", highlight=False, markup=False)
