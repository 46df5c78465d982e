"""The face track's submission: a zip of images, each the original but for a few small patches (RULES.md C).

Who pays for what: an image that is missing, damaged or over the pixel rules is a failed attack, and the others still
count. An image in a forbidden format, or a file that does not belong, refuses the zip. Everything found is reported at
once, in a refused zip too.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.metrics.connected_domains import Connectivity, connected_domains, perturbation_mask
from aisc.submission.archive import ArchiveLimits, SafeArchive, open_archive
from aisc.submission.archive_names import shown_name
from aisc.submission.findings import Finding, Findings, Rule, RuleBrokenError
from aisc.submission.png import decode_png

IMAGE_RULES: Final[dict[str, Rule]] = {
    rule.code: rule
    for rule in (
        Rule("ARCHIVE_MODEL_FILE", "refused", "Send images only; models are neither asked for nor loaded."),
        Rule("ARCHIVE_SYSTEM_FILE", "refused", "Zip by name, which leaves it out: `zip -X submission.zip ????.png`."),
        Rule("ARCHIVE_FOLDER", "refused", "Zip without the folder: `zip -X -j submission.zip FOLDER/????.png`."),
        Rule("ARCHIVE_MISNAMED_FILE", "refused", "Name images 0001.png, 0002.png and so on: four digits, lower case."),
        Rule("ARCHIVE_EXTRA_FILE", "refused", "Leave it out: `zip -X submission.zip ????.png`."),
        Rule("IMAGE_MISSING", "failed", "Add the image; without an idea for it, add the original."),
        Rule("IMAGE_TOO_MANY_PATCHES", "failed", "Join or drop patches; pixels that touch by a corner only are apart."),
        Rule("IMAGE_TOO_MUCH_AREA", "failed", "Change fewer pixels; a change by 1 in one channel counts."),
        Rule("IMAGE_UNCHANGED", "note", "Nothing to do if this is on purpose."),
    )
}  # fmt: skip

IMAGE_DTYPE: Final = np.dtype([("status", "u1"), ("patches", "<i4"), ("patches_8", "<i4"), ("area", "<i4")])

_MODEL_SUFFIX: Final = re.compile(
    r"\.(pt|pth|pt2|ckpt|safetensors|onnx|h5|hdf5|keras|pb|tflite|pkl|pickle|joblib|bin|weights|engine|plan"
    r"|mlmodel|caffemodel|pdparams|gguf)$",
    re.IGNORECASE,
)
_SYSTEM_FILE: Final = re.compile(r"(^|/)(__MACOSX/.*|\._[^/]*|\.DS_Store|Thumbs\.db|desktop\.ini)$", re.IGNORECASE)
_NEARLY_A_NAME: Final = re.compile(r"\d+(_compare)?\.(png|PNG|Png)")


class Status(IntEnum):
    """What became of one image; the numbers are stored and never change."""

    OK = 0
    UNCHANGED = 1
    MISSING = 2
    UNREADABLE = 3
    TOO_MANY_PATCHES = 4
    TOO_MUCH_AREA = 5


class PixelRules(NamedTuple):
    """What may be changed in one image.

    Attributes:
        patches: How many connected domains of changed pixels, at most.
        area: Which share of the pixels, at most, in [0, 1].
        connectivity: 4 or 8: which neighbours join two pixels into one patch.
        size: Height and width in pixels.
    """

    patches: int = 5
    area: float = 0.10
    connectivity: Connectivity = 4
    size: tuple[int, int] = (112, 112)

    @property
    def most_pixels(self) -> int:
        """Give the largest area in pixels: 1254 of 112 by 112 at 10 %.

        The share is taken as the decimal number that was written: 0.29 of 100 pixels is 29, though the nearest
        binary fraction gives 28.999….
        """
        return math.floor(Decimal(str(self.area)) * self.size[0] * self.size[1])


@dataclass(frozen=True, slots=True)
class ImagesReport:
    """What the check of a submission found.

    Attributes:
        findings: All findings; ``findings.refused`` says whether the submission is void.
        images: ``(n,)`` of :data:`IMAGE_DTYPE`: per image its :class:`Status`, the changed area in pixels, and the
            number of patches by the rule's connectivity and by 8-connectivity.
    """

    findings: Findings
    images: NDArray[np.void]

    @property
    def legal(self) -> NDArray[np.bool_]:
        """Give ``(n,)`` bool: the image counts; an unchanged one does, with whatever the victims say."""
        return is_legal(self.images)


def is_legal(images: NDArray[np.void]) -> NDArray[np.bool_]:
    """Give ``(n,)`` bool from ``(n,)`` of :data:`IMAGE_DTYPE`: which images count."""
    status = images["status"]
    return np.asarray((status == Status.OK) | (status == Status.UNCHANGED))


def image_names(n: int) -> list[str]:
    """Give the names that a submission of ``n`` images has.

    >>> image_names(3)
    ['0001.png', '0002.png', '0003.png']
    """
    return [f"{number:04d}.png" for number in range(1, n + 1)]


def read_images(
    path: Path,
    originals: NDArray[np.uint8],
    out: NDArray[np.uint8],
    *,
    rules: PixelRules | None = None,
    limits: ArchiveLimits | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ImagesReport:
    """Check a submission and read its images, one at a time.

    Args:
        path: The zip.
        originals: ``(n, h, w, 3)`` uint8 RGB: the images that were handed out.
        out: The same shape and dtype; filled with the submitted images. Where none could be read stands the original.
        rules: What may be changed; the report's rules if left out.
        limits: What the zip may cost.
        progress: Called after each image with the number done and ``n``.

    Returns:
        The report, for a refused submission too.

    Raises:
        UsageError: There is no regular file at ``path``.
        ValueError: The arrays have the wrong shape or dtype.
    """
    rules = rules or PixelRules()
    shape = (len(originals), *rules.size, 3)
    if originals.shape != shape or out.shape != shape or originals.dtype != np.uint8 or out.dtype != np.uint8:
        raise ValueError(f"originals and out are uint8 {shape}, not {originals.shape} and {out.shape}")
    names = image_names(len(originals))
    images = np.zeros(len(names), IMAGE_DTYPE)
    with open_archive(path, limits) as archive:
        findings = archive.findings
        findings.extend(_stranger_findings(archive, set(names)))
        unreadable_zip = findings.refused and not archive.names  # its own finding says it all
        for index, name in enumerate(names):
            outcome = _NOTHING if unreadable_zip else _checked_image(archive, name, originals[index], rules)
            images[index] = outcome.row
            out[index] = originals[index] if outcome.pixels is None else outcome.pixels
            findings.extend(outcome.findings)
            if progress:
                progress(index + 1, len(names))
    return ImagesReport(findings, images)


class _Outcome(NamedTuple):
    findings: list[Finding]
    row: tuple[Status, int, int, int]
    pixels: NDArray[np.uint8] | None


# What is unreadable for a reason that stands in the findings already.
_NOTHING: Final = _Outcome([], (Status.UNREADABLE, 0, 0, 0), None)


def _checked_image(archive: SafeArchive, name: str, original: NDArray[np.uint8], rules: PixelRules) -> _Outcome:
    """Read one image and hold it against the pixel rules."""
    if name not in archive.entries:
        if name in archive.names:  # refused as an entry
            return _NOTHING
        missing = IMAGE_RULES["IMAGE_MISSING"].broken(name, "The archive has no such image: a failed attack.")
        return _Outcome([missing], (Status.MISSING, 0, 0, 0), None)
    try:
        pixels = decode_png(archive.read(name), rules.size)
    except RuleBrokenError as error:
        return _Outcome([error.finding(name)], (Status.UNREADABLE, 0, 0, 0), None)
    mask = perturbation_mask(original, pixels)
    area = int(np.count_nonzero(mask))
    if not area:
        note = IMAGE_RULES["IMAGE_UNCHANGED"].broken(name, "The image is the original, pixel for pixel.")
        return _Outcome([note], (Status.UNCHANGED, 0, 0, 0), pixels)
    patches = connected_domains(mask, rules.connectivity)
    patches_8 = connected_domains(mask, 8) if rules.connectivity == 4 and patches > 1 else patches
    found = list(_pixel_findings(name, patches, area, rules))
    status = Status.OK
    if found:
        status = Status.TOO_MANY_PATCHES if patches > rules.patches else Status.TOO_MUCH_AREA
    return _Outcome(found, (status, patches, patches_8, area), pixels)


def _pixel_findings(name: str, patches: int, area: int, rules: PixelRules) -> Iterator[Finding]:
    if patches > rules.patches:
        text = f"The image has {patches} patches ({rules.connectivity}-connected), at most {rules.patches} are allowed."
        yield IMAGE_RULES["IMAGE_TOO_MANY_PATCHES"].broken(name, text)
    if area > rules.most_pixels:
        text = f"The image has {area} changed pixels, at most {rules.most_pixels} are allowed."
        yield IMAGE_RULES["IMAGE_TOO_MUCH_AREA"].broken(name, text)


def _stranger_findings(archive: SafeArchive, expected: set[str]) -> Iterator[Finding]:
    """Name the files that do not belong; an entry refused already is named again only if it is a model."""
    for name in sorted(archive.names - expected):
        base = name.rpartition("/")[2]
        if _MODEL_SUFFIX.search(name):
            code, text = "ARCHIVE_MODEL_FILE", "The file is a model by its name."
        elif name not in archive.entries:
            continue
        elif _SYSTEM_FILE.search(name):
            code, text = "ARCHIVE_SYSTEM_FILE", "An operating system put this file into the archive."
        elif base in expected:
            code, text = "ARCHIVE_FOLDER", "The image lies in a folder; it must lie at the archive's root."
        elif _NEARLY_A_NAME.fullmatch(base):
            code, text = (
                "ARCHIVE_MISNAMED_FILE",
                f"No image has this name; they are 0001.png to {len(expected):04d}.png.",
            )
        else:
            code, text = "ARCHIVE_EXTRA_FILE", "The file is none of the images asked for."
        yield IMAGE_RULES[code].broken(shown_name(name), text)
