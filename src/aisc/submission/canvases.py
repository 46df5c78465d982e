"""The driving track's submission: a zip of patch canvases, RGBA PNG of 2790 x 1260 pixels each (RULES.md B).

One plane decides where the patch is: alpha above 0. The same plane is used for the area, for the count of regions and
for placing, so no colour can hide outside the mask that is paid for. Unlike a face image, a canvas is all or nothing:
one that is missing, damaged or in more than five pieces makes the submission void, which is not a score of zero.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.metrics.connected_domains import Connectivity, connected_domains
from aisc.placement.pyramid import Pyramid
from aisc.submission.archive import ArchiveLimits, SafeArchive, open_archive
from aisc.submission.archive_names import shown_name
from aisc.submission.findings import Finding, Findings, Rule, RuleBrokenError
from aisc.submission.png import decode_png

CANVAS_SIZE: Final = (1260, 2790)
"""Height and width in pixels."""

CANVAS_RULES: Final[dict[str, Rule]] = {
    rule.code: rule
    for rule in (
        Rule("CANVAS_MISSING", "refused", "Add the canvas; a transparent one is allowed and scores its area term."),
        Rule("CANVAS_TOO_MANY_REGIONS", "refused", "Join or drop regions; pixels that touch by a corner are apart."),
        Rule("CANVAS_EMPTY", "note", "Nothing to do if this is on purpose; only the area term scores."),
        Rule("CANVAS_HALF_TRANSPARENT", "note", "Alpha above 0 counts as opaque: use 0 and 255 to see what is placed."),
        Rule("ARCHIVE_SYSTEM_FILE", "refused", "Zip by name, which leaves it out: `zip -X submission.zip NAME.png`."),
        Rule("ARCHIVE_FOLDER", "refused", "Zip without the folder: `zip -X -j submission.zip FOLDER/NAME.png`."),
        Rule("ARCHIVE_EXTRA_FILE", "refused", "Leave it out; the stage asks for the canvases named and nothing else."),
    )
}  # fmt: skip

CANVAS_ARCHIVE: Final = ArchiveLimits(
    file_bytes=128 << 20, entries=64, entry_bytes=24 << 20, total_bytes=128 << 20, ratio=2000
)
"""What a zip of canvases may cost; an even canvas shrinks far, so its ratio says little."""

_SYSTEM_FILE: Final = re.compile(r"(^|/)(__MACOSX/.*|\._[^/]*|\.DS_Store|Thumbs\.db|desktop\.ini)$", re.IGNORECASE)


class CanvasRules(NamedTuple):
    """What a canvas must be.

    Attributes:
        regions: How many connected regions its mask may have, at most.
        connectivity: 4 or 8: which neighbours join two pixels into one region.
        size: Height and width in pixels.
    """

    regions: int = 5
    connectivity: Connectivity = 4
    size: tuple[int, int] = CANVAS_SIZE


@dataclass(frozen=True, slots=True)
class Canvas:
    """A canvas that was read.

    Attributes:
        rgb: ``(h, w, 3)`` uint8.
        mask: ``(h, w)`` bool: alpha above 0.
        regions: Connected regions by the rule's connectivity.
        regions_8: Connected regions by 8-connectivity.
        covered: Pixels that the mask covers.
    """

    rgb: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    regions: int
    regions_8: int
    covered: int

    def pyramid(self) -> Pyramid:
        """Give the canvas ready to be placed."""
        return Pyramid(self.rgb, self.mask)


@dataclass(frozen=True, slots=True)
class CanvasesReport:
    """What the check of a submission found.

    Attributes:
        findings: All findings; ``findings.refused`` says whether the submission is void.
        canvases: The canvases that could be read, by name, in the order asked for.
    """

    findings: Findings
    canvases: dict[str, Canvas]


def read_canvases(
    path: Path, names: Sequence[str], rules: CanvasRules | None = None, limits: ArchiveLimits = CANVAS_ARCHIVE
) -> CanvasesReport:
    """Check a submission and read its canvases.

    Args:
        path: The zip.
        names: The files that the stage asks for.
        rules: What a canvas must be; the report's rules if left out.
        limits: What the zip may cost.

    Returns:
        The report, for a refused submission too.

    Raises:
        UsageError: There is no regular file at ``path``.
    """
    rules = rules or CanvasRules()
    canvases: dict[str, Canvas] = {}
    with open_archive(path, limits) as archive:
        findings = archive.findings
        findings.extend(_stranger_findings(archive, set(names)))
        if findings.refused and not archive.names:  # its own finding says it all
            return CanvasesReport(findings, canvases)
        for name in names:
            canvas, found = _checked_canvas(archive, name, rules)
            findings.extend(found)
            if canvas is not None:
                canvases[name] = canvas
    return CanvasesReport(findings, canvases)


def _checked_canvas(archive: SafeArchive, name: str, rules: CanvasRules) -> tuple[Canvas | None, list[Finding]]:
    if name not in archive.entries:
        if name in archive.names:  # refused as an entry
            return None, []
        return None, [CANVAS_RULES["CANVAS_MISSING"].broken(name, "The archive has no such canvas.")]
    try:
        pixels = decode_png(archive.read(name), rules.size, alpha=True)
    except RuleBrokenError as error:
        # A damaged canvas cannot count as one failed item among many: there is no score without it.
        return None, [error.rule._replace(effect="refused").broken(name, error.message)]
    alpha = pixels[..., 3]
    mask = alpha > 0
    regions = connected_domains(mask, rules.connectivity)
    regions_8 = connected_domains(mask, 8) if rules.connectivity == 4 and regions > 1 else regions
    canvas = Canvas(np.ascontiguousarray(pixels[..., :3]), mask, regions, regions_8, int(np.count_nonzero(mask)))
    return canvas, list(_mask_findings(name, canvas, int(np.count_nonzero(alpha == 255)), rules))


def _mask_findings(name: str, canvas: Canvas, opaque: int, rules: CanvasRules) -> Iterator[Finding]:
    if canvas.regions > rules.regions:
        text = (
            f"The mask has {canvas.regions} regions ({rules.connectivity}-connected), at most {rules.regions} are "
            "allowed: the result is void."
        )
        yield CANVAS_RULES["CANVAS_TOO_MANY_REGIONS"].broken(name, text)
    if not canvas.covered:
        yield CANVAS_RULES["CANVAS_EMPTY"].broken(name, "The canvas is fully transparent: no patch will be placed.")
    if opaque != canvas.covered:
        text = f"{canvas.covered - opaque} pixels of the mask are half transparent; they are placed as opaque."
        yield CANVAS_RULES["CANVAS_HALF_TRANSPARENT"].broken(name, text)


def _stranger_findings(archive: SafeArchive, expected: set[str]) -> Iterator[Finding]:
    """Name the files that do not belong."""
    for name in sorted(set(archive.entries) - expected):
        if _SYSTEM_FILE.search(name):
            code, text = "ARCHIVE_SYSTEM_FILE", "An operating system put this file into the archive."
        elif name.rpartition("/")[2] in expected:
            code, text = "ARCHIVE_FOLDER", "The canvas lies in a folder; it must lie at the archive's root."
        else:
            code, text = "ARCHIVE_EXTRA_FILE", f"The stage asks for {', '.join(sorted(expected))}."
        yield CANVAS_RULES[code].broken(shown_name(name), text)
