"""Receive a submission: a durable receipt at once, evaluation later."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from aisc.errors import AiscError, SubmissionRefusedError, UsageError
from aisc.evaluations import evaluation_of
from aisc.ledger.submissions import Earlier, Gate, Receipt
from aisc.ledger.teams import Team
from aisc.season import Season, StageRef
from aisc.store import blob_key, copy_hashed, disk_faults
from aisc.workbench import Workbench


def gate(season: Season, ref: StageRef) -> Gate:
    """Say when a stage takes submissions, and how many."""
    quota = ref.stage.quota
    return Gate(ref.stage.opens, ref.stage.closes, quota.per_day, quota.total, season.day_window)


def gate_for(season: Season, ref: StageRef, team: str, filename: str) -> Gate:
    """Say the same for one submission, which the track's rules about people may refuse."""

    def admit(earlier: Sequence[Earlier]) -> None:
        broken = evaluation_of(ref.rules).admit(ref, team, filename, earlier)
        if broken:
            raise SubmissionRefusedError(broken[0].code, broken[0].message, broken[0].remedy)

    return replace(gate(season, ref), admit=admit)


def receive(bench: Workbench, season: Season, stage: str, team: str, file: Path) -> Receipt:
    """Take a file for a team.

    The ledger decides first and reserves a place, then the bytes go into the store, then the receipt is confirmed:
    whoever loses the race for the last attempt leaves nothing behind, and an upload that fails costs nothing.

    Args:
        bench: Ledger, store and cache.
        season: The season.
        stage: ``track/stage``.
        team: The team's name.
        file: What it submits.

    Raises:
        SubmissionRefusedError: ``STAGE_NOT_OPEN``, ``STAGE_CLOSED``, ``QUOTA_DAY``, ``QUOTA_TOTAL``, ``FILE_EMPTY``,
            ``FILE_TOO_LARGE``, ``TEAM_NOT_ENTERED``, ``REGISTERED_OUTSIDE_WINDOW``, and those of the track's rules
            about people, such as ``BOTH_SIDES``.
        UsageError: ``STAGE_TAKES_NO_UPLOADS``, ``FILE_MISSING``, ``TEAM_UNKNOWN``, ``STAGE_UNKNOWN``.
        TransientError: ``PLACE_LAPSED``, ``LEDGER_UNAVAILABLE``, ``STORE_UNAVAILABLE``.
    """
    ref = season.stage(stage)
    if not ref.stage.takes_uploads:
        raise UsageError(
            "STAGE_TAKES_NO_UPLOADS",
            f"{stage} evaluates what was sent to {ref.track}/{ref.stage.after}.",
            f"Submit to {ref.track}/{ref.stage.after} while it is open.",
        )
    known = bench.ledger.teams.find(team)
    _check_registration(season, ref, known)
    if ref.stage.after is not None and known.name not in {entry.team for entry in bench.ledger.stages.entries(stage)}:
        raise SubmissionRefusedError(
            "TEAM_NOT_ENTERED",
            f"{team} does not take part in {stage}: it takes the teams that went on from {ref.stage.after}.",
            f"The board of {ref.track}/{ref.stage.after} says who goes on; "
            f"organizers let them in with 'aisc round advance {ref.track}/{ref.stage.after}'.",
        )
    if not file.is_file():
        raise UsageError("FILE_MISSING", f"{file} is no file.", "Give the path of the file to submit.")
    _check_size(ref, file, file.stat().st_size)
    with bench.scratch() as scratch:
        # A file that its owner still writes to would be stored under the digest of what it was before.
        copy = scratch / "upload"
        with disk_faults(file.name), file.open("rb") as source, copy.open("xb") as target:
            sha256, size = copy_hashed(source, target)
        _check_size(ref, file, size)
        door = gate_for(season, ref, known.name, file.name)
        return _keep(bench, door, team, stage, copy, Content(sha256, size, file.name))


class Content(NamedTuple):
    """What was sent: SHA-256 (hex), bytes, and the name the team gave it."""

    sha256: str
    size: int
    filename: str


def _keep(bench: Workbench, door: Gate, team: str, stage: str, copy: Path, content: Content) -> Receipt:
    submissions = bench.ledger.submissions
    receipt = submissions.reserve(team, stage, *content, door)
    if receipt.state == "received":
        return receipt
    try:
        bench.store.put(blob_key(content.sha256), copy)
    except AiscError:
        submissions.abort(receipt.id)
        raise
    return submissions.confirm(receipt.id)


def _check_registration(season: Season, ref: StageRef, team: Team) -> None:
    window = season.tracks[ref.track].registration
    if window is not None and not window.opens <= team.created_at < window.closes:
        raise SubmissionRefusedError(
            "REGISTERED_OUTSIDE_WINDOW",
            f"{team.name} was registered on {team.created_at:%Y-%m-%d %H:%M} UTC; {ref.track} takes teams that were "
            f"registered from {window.opens:%Y-%m-%d %H:%M} to {window.closes:%Y-%m-%d %H:%M} UTC.",
            "Ask the organizers; they set the window of a track in the season file.",
        )


def _check_size(ref: StageRef, file: Path, size: int) -> None:
    if size == 0:
        raise SubmissionRefusedError("FILE_EMPTY", f"{file.name} has no bytes.", "Send the file once more.")
    most = ref.stage.limits.get("max_archive_mib")
    if most is not None and size > most << 20:
        raise SubmissionRefusedError(
            "FILE_TOO_LARGE",
            f"{file.name} has {size / (1 << 20):.1f} MiB, at most {most} MiB are taken.",
            "Compress the images as PNG, and send nothing else.",
        )
