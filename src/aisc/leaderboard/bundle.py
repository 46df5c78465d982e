"""What a participant gets back: a folder with scores, the pixel rule's verdicts, findings with remedies, pictures."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from aisc.identity import canonical_json
from aisc.leaderboard.board import Bound, Measure
from aisc.leaderboard.entry import Entry
from aisc.leaderboard.result import ImageTable, ImageVerdict, ResultFile, make_result
from aisc.leaderboard.sheet import inert
from aisc.submission.findings import Effect, Findings

_EFFECTS: Mapping[Effect, str] = {
    "refused": "The whole submission is refused.",
    "failed": "Each of these counts as a failed attempt; the rest of the submission counts.",
    "note": "For information; nothing is lost.",
}
_FILES = {
    "result.json": "scores, what they are bound to, and the pixel rule's verdict on every image",
    "images.csv": "the same verdicts as a table: status, regions by the rule, regions with corners joined, area",
    "findings.md": "every rule that was broken, in plain words, and what to do about it",
}


class Picture(NamedTuple):
    """A picture for the team.

    Attributes:
        data: PNG or MP4 bytes.
        about: What it shows, in one line.
    """

    data: bytes
    about: str


def write_bundle(
    folder: Path,
    *,
    season: str,
    track: str,
    stage: str,
    entry: Entry,
    measure: Measure,
    version: Bound | None,
    findings: Findings,
    images: ImageTable | None = None,
    pictures: Mapping[str, Picture] = MappingProxyType({}),
) -> tuple[Path, ...]:
    """Write a participant's result bundle.

    Args:
        folder: An existing folder, or one to make; files of the same names are replaced.
        season: Season's name.
        track: Track's name.
        stage: Stage's name.
        entry: The submission's row; it is written as ``Entry.public`` gives it.
        measure: What the score is and how precisely it is published.
        version: What the score is bound to, ``None`` for a submission that was never scored.
        findings: What the checks found.
        images: Verdicts of the pixel rule; ``None`` when the submission was refused before its images were read.
        pictures: What the team sees, by file name.

    Returns:
        The files written, ``README.txt`` last.
    """
    result = make_result(
        season=season,
        track=track,
        stage=stage,
        entry=entry,
        measure=measure,
        version=version,
        findings=findings,
        images=images,
    )
    files: dict[str, bytes] = {"result.json": canonical_json(result.model_dump(mode="json"))}
    if images is not None:
        files["images.csv"] = images_csv(result.images).encode()
    files["findings.md"] = findings_md(findings, team=entry.team, submission=entry.submission).encode()
    files |= {name: picture.data for name, picture in pictures.items()}
    about = {name: text for name, text in _FILES.items() if name in files}
    about |= {name: picture.about for name, picture in pictures.items()}
    files["README.txt"] = _readme(result, about).encode()
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return tuple(folder / name for name in files)


def images_csv(images: Sequence[ImageVerdict]) -> str:
    """Write the verdicts as CSV; unknown numbers are empty cells."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(ImageVerdict.model_fields)
    for image in images:
        writer.writerow([inert(image.name), image.status, image.patches, image.patches_8, image.area_px])
    return out.getvalue()


def findings_md(findings: Findings, *, team: str, submission: str) -> str:
    """Say in plain words what was found, one section a code: gravest first, then the most frequent."""
    lines = ["# Findings", "", f"Submission {_code(submission)} of {_code(team)}.", ""]
    if not findings.counts:
        return "\n".join([*lines, "Nothing to report: every check passed.", ""])
    order = {effect: place for place, effect in enumerate(_EFFECTS)}
    first = {finding.code: finding for finding in reversed(findings.listed)}
    for code in sorted(first, key=lambda each: (order[first[each].effect], -findings.counts[each], each)):
        listed = [finding for finding in findings.listed if finding.code == code]
        count = findings.counts[code]
        effect = _EFFECTS[first[code].effect]
        if findings.refused and first[code].effect == "failed":
            effect = "Beside what refuses the submission: each of these alone would be a failed attempt."
        lines += [f"## {code}, {count} {'time' if count == 1 else 'times'}", "", effect, ""]
        lines += [f"- {_code(each.where) + ': ' if each.where else ''}{_plain(each.message)}" for each in listed]
        lines += [f"- and {count - len(listed)} more of the same kind"] if count > len(listed) else []
        remedies = dict.fromkeys(each.remedy for each in listed if each.remedy)
        lines += ["", *(f"What to do: {_plain(remedy)}" for remedy in remedies), ""]
    return "\n".join(lines)


def _code(text: str) -> str:
    """Show a team's own text as a Markdown code span: no markup, no new line, no end of the span from inside."""
    return "`" + _one_line(text).replace("`", "'") + "`"


def _plain(text: str) -> str:
    """Show a sentence as text: it may quote a file's name, which must not become markup."""
    escaped = _one_line(text).replace("\\", "\\\\")
    for sign in "`*_[]<>|#":
        escaped = escaped.replace(sign, "\\" + sign)
    return escaped


def _one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _readme(result: ResultFile, about: Mapping[str, str]) -> str:
    score = "no score" if result.score is None else f"{result.score_name} {result.score}"
    head = f"{result.season}, {result.track} / {result.stage}: submission {result.submission}, {result.state}, {score}"
    wide = max(len(name) for name in about)
    listed = [f"{name.ljust(wide)}  {text}" for name, text in about.items()]
    return "\n".join([head, "", *listed, ""])
