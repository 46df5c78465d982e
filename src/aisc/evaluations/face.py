"""The face track at work: images against originals, embeddings against thresholds (rules: :mod:`aisc.tracks.face`)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from aisc.datasets.face_pairs import decode_pairs, open_pairs
from aisc.evaluations.contract import Checked, Checkup, Entered, Evaluation, Remember, Tick, Told
from aisc.evaluations.face_reference import reference, stage_pairs
from aisc.identity import Plan, Version
from aisc.leaderboard.bundle import Picture
from aisc.leaderboard.contact_sheet import SHEET_IMAGES, sheet_of
from aisc.leaderboard.result import ImageTable
from aisc.ledger.runs import Score
from aisc.season import StageRef
from aisc.submission.findings import Findings
from aisc.submission.images import Status, image_names, is_legal
from aisc.tracks.face import (
    MEASURE,
    PHYSICAL_MEASURE,
    ExpertVerdict,
    FaceLimits,
    PhysicalResult,
    check_images,
    score_images,
    score_physical,
)
from aisc.victims.verifier import decide
from aisc.workbench import Workbench

if TYPE_CHECKING:
    import pandas as pd


class FaceEvaluation(Evaluation):
    """Rulebook ``face-verification-patch``."""

    kit_folder: ClassVar[str] = "pairs"

    def measure(self, stage: str, *, entered: bool = False) -> str:
        """Rank by the attack success rate, the physical final by targets deceived."""
        return PHYSICAL_MEASURE if entered else MEASURE

    def review_form(self, stage: str, *, entered: bool = False) -> type[BaseModel]:
        """Take a verdict on realisability, or the result of the physical final."""
        return PhysicalResult if entered else ExpertVerdict

    def entered(self, review: Mapping[str, Any]) -> Entered:
        """Score an attempt of the physical final."""
        physical = score_physical(review)
        names = {"deceived": "targets deceived", "targets": "targets", "area_cm2": "area, cm²"}
        return Entered(*physical, {shown: review[name] for name, shown in names.items()})

    def open_data(self, ref: StageRef) -> str | None:
        """Hand out the pairs themselves: participants change them."""
        return ref.stage.data

    def write_surrogate(self, package: Path, folder: Path) -> None:
        """Write ``surrogates/NAME.pt``, TorchScript."""
        from aisc.victims.torch_models import export_torchscript

        export_torchscript(package, folder / "surrogates" / f"{package.name}.pt")

    def check(
        self, file: Path, stage: str, limits: Mapping[str, Any], data: Path, scratch: Path, tick: Tick
    ) -> Checkup:
        """Check a zip of images against the pairs that were handed out."""
        decode_pairs(data, scratch)
        originals = open_pairs(scratch).originals
        pixels = _pixels(scratch / "pixels.npy", originals)
        report = check_images(file, originals, pixels, FaceLimits.model_validate(limits), progress=tick)
        counts = {status.name.lower(): int((report.images["status"] == status).sum()) for status in Status}
        accepted = f"{int(report.legal.sum())} of {len(report.images)} images count."
        return Checkup(report.findings, counts, accepted)

    def prepare(self, bench: Workbench, version: Version, say: Callable[[dict[str, Any]], None]) -> None:
        """Embed the comparison images with every victim, and count what it accepts of the clean images."""
        for victim in version.victims:
            clean = reference(bench, version, victim).clean
            say({"victim": victim.name, "clean_accepts": int(clean.sum())})

    def validate(self, bench: Workbench, plan: Plan, archive: Path, checked: Checked) -> Findings:
        """Decode, compare with the originals, count patches and area.

        Content is ``.npy`` uint8 (n, 112, 112, 3) RGB, verdicts ``.npy`` of ``IMAGE_DTYPE``.
        """
        originals = stage_pairs(bench, plan.version).originals
        pixels = _pixels(checked.content, originals)
        report = check_images(archive, originals, pixels, FaceLimits.model_validate(plan.version.limits))
        pixels.flush()
        with checked.verdicts.open("wb") as file:
            np.save(file, report.images)
        return report.findings

    def query(self, bench: Workbench, plan: Plan, checked: Checked, answers: Path, remember: Remember) -> None:
        """Embed the images that obey the pixel rules and compare them with the references.

        The answers are ``same`` and ``clean``, bool (victims, n), ``.npz``; an image that failed the rules is not
        shown to a victim.
        """
        pixels = np.load(checked.content, mmap_mode="r")
        legal = np.flatnonzero(is_legal(np.load(checked.verdicts)))
        victims = plan.version.victims
        same = np.zeros((len(victims), len(pixels)), dtype=np.bool_)
        clean = np.zeros_like(same)
        shown = pixels if len(legal) == len(pixels) else pixels[legal]
        for row, victim in enumerate(victims):
            verifier = bench.victims.open_verifier(bench.asset(victim))
            known = reference(bench, plan.version, victim, verifier)
            same[row, legal] = decide(verifier.embed(shown), known.compares[legal], verifier.description.threshold)
            clean[row] = known.clean
            print(f"{victim.name}: {len(legal)} images compared", flush=True)
        with answers.open("wb") as file:
            np.savez(file, same=same, clean=clean)

    def score(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> Score:
        """Score by equation 16."""
        legal = is_legal(np.load(checked.verdicts))
        names = [victim.name for victim in version.victims]
        with np.load(answers) as arrays:
            return Score(*score_images(arrays["same"], legal, arrays["clean"], names, version.seed))

    def told(self, bench: Workbench, version: Version, checked: Checked) -> Told:
        """Tell the pixel rules' verdict on every image; show the first images beside their originals."""
        items = _table(np.load(checked.verdicts))
        originals = stage_pairs(bench, version).originals
        limits = FaceLimits.model_validate(version.limits)
        pixels = np.load(checked.content, mmap_mode="r")
        sheet = sheet_of(items, originals, pixels, title=version.stage, connectivity=limits.connectivity)
        about = f"the first {SHEET_IMAGES} images, original beside submitted, with the changed regions outlined"
        return Told(items, {"contact-sheet.png": Picture(sheet, about)})

    def evidence(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> "pd.DataFrame":
        """Give one row an image: status, patches, area, and whether each victim was deceived, now and when clean."""
        import pandas as pd

        images = np.load(checked.verdicts)
        with np.load(answers) as arrays:
            same, clean = arrays["same"], arrays["clean"]
        columns: dict[str, object] = {
            "image": image_names(len(images)),
            "status": [Status(status).name.lower() for status in images["status"].tolist()],
            "patches": images["patches"],
            "patches_8": images["patches_8"],
            "area_px": images["area"],
        }
        for row, victim in enumerate(version.victims):
            columns[f"{victim.name}_deceived"] = same[row]
            columns[f"{victim.name}_clean"] = clean[row]
        return pd.DataFrame(columns)


def _pixels(path: Path, originals: NDArray[np.uint8]) -> "np.memmap[Any, np.dtype[np.uint8]]":
    """Open a new array like the originals on disk."""
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=originals.shape)


def _table(images: NDArray[np.void]) -> ImageTable:
    unread = np.isin(images["status"], [Status.MISSING, Status.UNREADABLE])
    return ImageTable(
        names=image_names(len(images)),
        status=[Status(status).name.lower() for status in images["status"].tolist()],
        legal=is_legal(images),
        patches=np.where(unread, -1, images["patches"]),
        patches_8=np.where(unread, -1, images["patches_8"]),
        area_px=np.where(unread, -1, images["area"]),
    )


EVALUATION = FaceEvaluation()
