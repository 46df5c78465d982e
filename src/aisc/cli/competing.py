"""``aisc check``, ``submit``, ``status``, ``results``: what a participant does."""

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, StageName, emit, progress, say, table
from aisc.cli.workspace import Workspace, open_workspace
from aisc.errors import UsageError
from aisc.evaluations import evaluation_of
from aisc.evaluations.contract import Checkup
from aisc.kit import open_data, open_kit
from aisc.ledger.runs import FINAL_STATES, Run
from aisc.reception import gate, receive
from aisc.sandbox.registry import fetch_image
from aisc.season import StageRef
from aisc.stages.evidence import evidence_table
from aisc.workbench import Workbench, unpack

POLL_SECONDS = 1.0
SHOWN_FINDINGS = 5


def check(
    stage: StageName,
    file: Annotated[Path, typer.Argument(help="The file that you would submit.")],
    kit: Annotated[
        Path | None, typer.Option(help="Folder of the participants' kit; without it the season's own data is used.")
    ] = None,
    draw: Annotated[Path | None, typer.Option(help="Folder for pictures of what would be evaluated.")] = None,
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Check a submission offline, by the same code as the pipeline; needs no account.

    Exit code 3 means that it would be refused.

    Example: aisc check driving/preliminary my.zip --kit kit/ --draw pictures/
    """
    if not file.is_file():
        raise UsageError("FILE_MISSING", f"{file} is no file.", "Give the path of the file.")
    with tempfile.TemporaryDirectory() as scratch, progress("checking") as tick:
        if kit is not None:
            rules, name, limits, data = open_kit(kit, stage)
        elif not season.exists():
            raise UsageError(
                "KIT_MISSING",
                f"No kit was named, and there is no {season} here.",
                "Name the kit that you received: --kit.",
            )
        else:
            with open_workspace(season) as workspace:
                ref = workspace.season.stage(stage)
                rules, name, limits, data = ref.rules, ref.name, ref.stage.limits, open_data(workspace.bench, ref)
        report = evaluation_of(rules).check(file, name, limits, data, Path(scratch), tick)
    drawn = []
    if draw is not None:
        draw.mkdir(parents=True, exist_ok=True)
        for picture, png in report.pictures.items():
            (draw / picture).write_bytes(png)
            drawn.append(str(draw / picture))
    found = report.findings.as_json() | {"items": dict(report.counts), "pictures": drawn}
    emit(found, as_json, lambda: _show_report(file, report, drawn))
    if report.findings.refused:
        raise typer.Exit(3)


def submit(
    stage: StageName,
    team: Annotated[str, typer.Option("--team", "-t", help="The team's name.")],
    file: Annotated[Path | None, typer.Argument(help="The file to submit.")] = None,
    image: Annotated[
        str | None, typer.Option(help="Instead of a file an image in a registry; what its tag means is settled now.")
    ] = None,
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Submit a file, or an image by its reference, and get a receipt: id, digest, UTC time, attempts left.

    Example: aisc submit face/preliminary my.zip --team "Patch Adams"
    """
    if (file is None) == (image is None):
        raise UsageError("SUBMIT_WHAT", "Give either a file or --image.", "See 'aisc submit --help'.")
    with open_workspace(season) as workspace, workspace.bench.scratch() as scratch:
        known = {receipt.id for receipt in workspace.bench.ledger.submissions.all(stage=stage)}
        ref = workspace.season.stage(stage)
        sent = file or _fetched(ref, str(image), scratch)
        receipt = receive(workspace.bench, workspace.season, stage, team, sent)
        door = gate(workspace.season, ref)
        left = workspace.bench.ledger.submissions.attempts_left(team, stage, door)

    def render() -> None:
        if receipt.id in known:
            say("These bytes were received before; this is their receipt, and no attempt was used.")
        say(f"Receipt  {receipt.id}")
        say(f"Team     {receipt.team}")
        say(f"Stage    {receipt.stage}")
        say(f"SHA-256  {receipt.sha256}")
        say(f"Received {receipt.received_at:%Y-%m-%d %H:%M:%S.%f} UTC")
        say(f"Left     {'no limit' if left is None else f'{left} attempts'}")

    emit(receipt._asdict() | {"attempts_left": left, "repeated": receipt.id in known}, as_json, render)


def _fetched(ref: StageRef, image: str, folder: Path) -> Path:
    """Fetch an image whose reference is a team's submission; the file is named by repository and digest."""
    limits = evaluation_of(ref.rules).image_limits(ref.stage.limits)
    if limits is None:
        raise UsageError("STAGE_TAKES_NO_IMAGES", f"{ref.path} takes files.", "Give the path of the file.")
    archive = folder / "image.tar"
    fetched = fetch_image(image, archive, limits)
    return archive.rename(folder / f"{fetched.name.replace('/', '_')}.tar")


def status(
    submission: Annotated[str | None, typer.Argument(help="A submission's id; all of them if not given.")] = None,
    team: Annotated[str | None, typer.Option("--team", "-t", help="Only this team's.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Wait until everything shown has its verdict.")] = False,
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Show where submissions are: queued, running, scored, refused, and why.

    Example: aisc status s-0123456789abcdef0123 --watch
    """
    with open_workspace(season) as workspace:
        while True:
            rows = _statuses(workspace, submission, team)
            if not watch or all(row["state"] in FINAL_STATES for row in rows):
                break
            time.sleep(POLL_SECONDS)

        def render() -> None:
            shown = [
                (r["submission"], r["team"], r["stage"], r["received_at"], r["state"], r["score"], r["why"])
                for r in rows
            ]
            table("", ["Submission", "Team", "Stage", "Received (UTC)", "State", "Score", "Why"], shown)

        emit(rows, as_json, render)


def results(
    submission: Annotated[str, typer.Argument(help="The submission's id.")],
    to: Annotated[Path, typer.Option(help="Folder for the bundle.")],
    stage: Annotated[str | None, typer.Option(help="The stage, when the submission was evaluated in several.")] = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="For organizers: add every victim's answer to every image.")
    ] = False,
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Fetch a submission's result bundle: scores, verdicts, findings, pictures.

    Example: aisc results s-0123456789abcdef0123 --to results/
    """
    with open_workspace(season) as workspace:
        bench = workspace.bench
        receipt = bench.ledger.submissions.get(submission)
        runs = [run for run in bench.ledger.runs.all(submission=submission) if stage in (None, run.stage)]
        # Of a defence in a tournament the clean pass stands for all: it alone is under the stage's own version.
        pinned = {run.stage: bench.ledger.stages.pinned(run.stage) for run in runs}
        runs = [run for run in runs if (own := pinned[run.stage]) and own.sha256 == run.version_sha256] or runs
        finished = [run for run in runs if run.result_key]
        if not finished or finished[-1].result_key is None:
            state = runs[-1].state if runs else "not evaluated yet"
            raise UsageError(
                "RESULT_NOT_READY", f"Submission {receipt.id} is {state}.", f"'aisc status {receipt.id} --watch' waits."
            )
        run = finished[-1]
        fetch_bundle(bench, finished[-1].result_key, to)
        if evidence:
            evidence_table(bench, run.run_key).to_csv(to / "evidence.csv", index=False)
    files = sorted(path for path in to.iterdir() if path.is_file())
    emit([str(path) for path in files], as_json, lambda: say("\n".join(str(path) for path in files)))


def fetch_bundle(bench: Workbench, result_key: str, folder: Path) -> None:
    """Unpack the result bundle of a run into a folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    with bench.scratch() as scratch:
        archive = scratch / "bundle.tar"
        bench.store.fetch(result_key, archive)
        unpack(archive, folder)


def _statuses(workspace: Workspace, submission: str | None, team: str | None) -> list[dict[str, object]]:
    ledger = workspace.bench.ledger
    receipts = [ledger.submissions.get(submission)] if submission else ledger.submissions.all(team=team)
    rows = []
    for receipt in receipts:
        runs = ledger.runs.all(submission=receipt.id)
        rows += [_status(workspace, receipt._asdict(), run) for run in runs] or [
            _status(workspace, receipt._asdict(), None)
        ]
    return rows


def _status(workspace: Workspace, receipt: dict[str, object], run: Run | None) -> dict[str, object]:
    score = workspace.bench.ledger.runs.score(run.run_key) if run else None
    why = "waits for the next round" if run is None else run.message or ""
    if run is not None and run.state in ("pending", "running") and run.code:
        why = f"our fault, it is tried again ({run.code})"  # the fault's own words are for operators
    if run is not None and run.state == "quarantined":
        why = f"our fault, the attempt was given back ({run.code})"
    void = run is not None and run.state == "scored" and bool(run.code)  # scored by a program, ranked by nobody
    return {
        "submission": receipt["id"],
        "team": receipt["team"],
        "stage": run.stage if run else receipt["stage"],
        "received_at": receipt["received_at"],
        "state": "void" if void else run.state if run else "received",
        "code": run.code if run else None,
        "why": why,
        "score": round(score.value, 6) if score and not void else None,
        "run_key": run.run_key if run else None,
        "attempt": run.attempt if run else 0,
    }


def _show_report(file: Path, report: Checkup, drawn: list[str]) -> None:
    effects = {"refused": "refuses the submission", "failed": "a failed attempt", "note": "for information"}
    for code, count in report.findings.counts.items():
        listed = [finding for finding in report.findings.listed if finding.code == code]
        say(f"{code}, {count} {'time' if count == 1 else 'times'}: {effects[listed[0].effect]}")
        for finding in listed[:SHOWN_FINDINGS]:
            say(f"  {finding.where + ': ' if finding.where else ''}{finding.message}")
        if count > SHOWN_FINDINGS:
            say(f"  and {count - SHOWN_FINDINGS} more")
        say(f"  → {listed[0].remedy}")
    if any(report.counts.values()):
        table("", ["Items", "Count"], [(name, count) for name, count in report.counts.items() if count])
    for picture in drawn:
        say(f"Drew {picture}")
    if report.findings.refused:
        say(f"REFUSED: {file.name} would get no score; mend what refuses it.")
    else:
        say(f"ACCEPTED: {report.accepted}")
