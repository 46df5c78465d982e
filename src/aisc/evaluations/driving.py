"""The driving track at work: canvases into scenes, scenes before detectors (rules: :mod:`aisc.tracks.driving`)."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from aisc.datasets.scene_packs import open_set
from aisc.evaluations.contract import Checked, Checkup, Evaluation, Remember, Tick, Told
from aisc.evaluations.driving_pictures import canvas_sheet, drive
from aisc.identity import Plan, Version
from aisc.leaderboard.bundle import Picture
from aisc.leaderboard.result import ImageTable
from aisc.ledger.runs import Score
from aisc.placement.pyramid import Pyramid
from aisc.season import StageRef
from aisc.submission.canvases import CANVAS_SIZE, CanvasesReport
from aisc.submission.findings import Findings
from aisc.tracks.driving import (
    FINAL_MEASURE,
    MEASURE,
    CodeReview,
    DrivingLimits,
    DrivingScore,
    canvases_of,
    check_canvases,
    score_final,
    score_patch,
    target_of,
)
from aisc.workbench import Workbench

if TYPE_CHECKING:
    import pandas as pd

    from aisc.evaluations.driving_scenes import StageScenes

_MISSING = -1


class DrivingEvaluation(Evaluation):
    """Rulebook ``detector-patch``."""

    kit_folder: ClassVar[str] = "scenes"

    def measure(self, stage: str, *, entered: bool = False) -> str:  # results are always computed
        """Rank by equation 5, the final by equation 6."""
        return FINAL_MEASURE if stage == "final" else MEASURE

    def review_form(self, stage: str, *, entered: bool = False) -> type[BaseModel]:
        """Take a verdict on the code, a mark, and the measured similarity."""
        return CodeReview

    def judge(self, stage: str, score: Score, review: Mapping[str, Any]) -> Score:
        """Show the experts' mark and the code's similarity beside the score; neither changes it."""
        said = {"experts' mark": review.get("mark"), "code similarity": review.get("similarity")}
        return score._replace(parts=score.parts | {name: value for name, value in said.items() if value is not None})

    def open_data(self, ref: StageRef) -> str | None:
        """Hand out the training scenes."""
        return ref.stage.training

    def kit_facts(self, stage: str) -> dict[str, Any]:
        """Name the canvases that a submission holds."""
        return {"canvases": list(canvases_of(stage)), "canvas_size": list(CANVAS_SIZE)}

    def write_surrogate(self, package: Path, folder: Path) -> None:
        """Write ``detectors/NAME.pt``, TorchScript, and ``NAME.json``, how its answer is read."""
        from aisc.victims.detector_package import export_detector, load_detector_package

        loaded = load_detector_package(package)
        target = folder / "detectors" / f"{loaded.description.name}.pt"
        export_detector(loaded, target)
        target.with_suffix(".json").write_text(loaded.description.head.model_dump_json(indent=2) + "\n")

    def check(
        self, file: Path, stage: str, limits: Mapping[str, Any], data: Path, scratch: Path, tick: Tick
    ) -> Checkup:
        """Check a zip of canvases, and draw each in the middle of a training scene."""
        report = check_canvases(file, stage, DrivingLimits.model_validate(limits))
        counts = {"canvases": len(report.canvases)} | {
            f"{name}, {fact}": value
            for name, canvas in report.canvases.items()
            for fact, value in (("regions", canvas.regions), ("covered pixels", canvas.covered))
        }
        given = open_set(data)
        packs = [pack for pack in given if not pack.description.patched] or given
        pictures = {}
        for number, (name, canvas) in enumerate(report.canvases.items()):
            fitting = [pack for pack in packs if pack.description.target == target_of(name)] or packs
            pictures[f"check-{name}"] = canvas_sheet(fitting[0], canvas.pyramid(), title=f"{name} in a training scene")
            tick(number + 1, len(report.canvases))
        names = " and ".join(report.canvases) if len(report.canvases) < 3 else f"{len(report.canvases)} canvases"
        return Checkup(report.findings, counts, f"{names} will be driven up to.", pictures)

    def prepare(self, bench: Workbench, version: Version, say: Callable[[dict[str, Any]], None]) -> None:
        """Ask every detector about the bare scenes."""
        scenes = _scenes(bench, version)
        for pack in scenes.packs:
            clean = scenes.clean(pack)
            missed = {victim.name: int((row == 0).sum()) for victim, row in zip(version.victims, clean, strict=True)}
            say({"scene": pack.name, "frames": len(pack), "missed_when_clean": missed})

    def validate(self, bench: Workbench, plan: Plan, archive: Path, checked: Checked) -> Findings:
        """Read the canvases, count regions and area.

        Content is ``.npz`` with ``rgb:NAME`` uint8 (1260, 2790, 3) and ``mask:NAME`` bool; verdicts are JSON by name.
        """
        stage = plan.version.stage_name
        report = check_canvases(archive, stage, DrivingLimits.model_validate(plan.version.limits))
        arrays = {f"rgb:{name}": canvas.rgb for name, canvas in report.canvases.items()}
        arrays |= {f"mask:{name}": np.packbits(canvas.mask) for name, canvas in report.canvases.items()}
        with checked.content.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        checked.verdicts.write_text(json.dumps(_verdicts(report, canvases_of(stage)), indent=2))
        return report.findings

    def query(self, bench: Workbench, plan: Plan, checked: Checked, answers: Path, remember: Remember) -> None:
        """Drive up to every target with every canvas, scene by scene; a finished scene is never driven again.

        The answers are ``.npz``: ``NAME`` and ``clean:NAME``, whole numbers (detectors, scenes, frames) of counted
        detections, -1 where a scene has no such frame.
        """
        scenes = _scenes(bench, plan.version)
        canvases = _canvases(checked.content)
        counts: dict[str, list[NDArray[np.int16]]] = {name: [] for name in canvases}
        for number, pack in enumerate(scenes.packs):
            names = [name for name in canvases if target_of(name) == pack.description.target]
            part = answers.with_name(f"{answers.name}-{pack.name}.npy")
            remember(pack.name, part, lambda: _drive_through(scenes, number, [canvases[name] for name in names], part))  # noqa: B023 - called at once
            for name, found in zip(names, np.load(part), strict=True):
                counts[name].append(found)
            print(f"{pack.name}: {len(pack)} frames, {len(scenes.packs) - number - 1} scenes to go", flush=True)
        arrays = {name: _stacked(found) for name, found in counts.items()}
        for name in canvases:
            arrays[f"clean:{name}"] = _stacked([scenes.clean(pack) for pack in scenes.of(target_of(name))])
        with answers.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def score(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> Score:
        """Score every canvas by equation 5, a final by equation 6."""
        patches = self._patches(bench, version, checked, answers)
        limits = DrivingLimits.model_validate(version.limits)
        final = version.stage_name == "final"
        outcome = score_final(patches, limits, version.seed) if final else next(iter(patches.values()))
        return Score(outcome.value, outcome.low, outcome.high, outcome.parts)

    def told(self, bench: Workbench, version: Version, checked: Checked) -> Told:
        """Tell regions and area of each canvas; show each in some frames of the first scene it is driven through."""
        verdicts = json.loads(checked.verdicts.read_text())
        pictures: dict[str, Picture] = {}
        canvases = _canvases(checked.content)
        if canvases and version.data is not None:
            scenes = _scenes(bench, version)
            for name, canvas in canvases.items():
                pictures |= drive(scenes, version, canvas, name.removesuffix(".png"), scenes.of(target_of(name))[0])
        return Told(_table(verdicts), pictures)

    def evidence(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> "pd.DataFrame":
        """Give one row a canvas, scene and detector: frames, frames without a detection, the same when clean."""
        import pandas as pd

        scenes = _scenes(bench, version)
        rows = []
        with np.load(answers) as arrays:
            for name in _names(arrays.files):
                for column, pack in enumerate(scenes.of(target_of(name))):
                    for row, victim in enumerate(version.victims):
                        seen, clean = arrays[name][row, column], arrays[f"clean:{name}"][row, column]
                        rows.append((name, pack.name, victim.name, len(pack), int((seen == 0).sum()),
                                     int((clean == 0).sum())))  # fmt: skip
        columns = ["canvas", "scene", "detector", "frames", "suppressed", "missed_when_clean"]
        return pd.DataFrame(rows, columns=columns)

    def _patches(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> dict[str, DrivingScore]:
        limits = DrivingLimits.model_validate(version.limits)
        covered = {row["name"]: row["area_px"] for row in json.loads(checked.verdicts.read_text())}
        detectors = [victim.name for victim in version.victims]
        scenes = _scenes(bench, version)
        with np.load(answers) as arrays:
            return {
                name: score_patch(
                    arrays[name], arrays[f"clean:{name}"], covered[name], detectors,
                    [pack.name for pack in scenes.of(target_of(name))], limits, version.seed,
                )
                for name in _names(arrays.files)
            }  # fmt: skip


def _scenes(bench: Workbench, version: Version) -> "StageScenes":
    # Not at the top: checking a submission must not pay for torch.
    from aisc.evaluations.driving_scenes import StageScenes

    return StageScenes(bench, version)


def _drive_through(scenes: "StageScenes", number: int, patches: list[Pyramid], target: Path) -> None:
    """Count in one scene what every detector sees with each patch.

    What is transparent changes nothing, and of patches that look the same one is driven up to.
    """
    from aisc.tracks.driving_counting import count_scene

    pack = scenes.packs[number]
    different: list[Pyramid] = []
    for patch in patches:
        if not patch.empty and not any(patch.same_as(other) for other in different):
            different.append(patch)
    counts = count_scene(pack, scenes.detectors, different, scenes.limits, frames=scenes.frames(pack))
    found = np.zeros((len(patches), len(scenes.detectors), len(pack)), np.int16)
    for place, patch in enumerate(patches):
        same = [row for row, other in zip(counts, different, strict=True) if patch.same_as(other)]
        found[place] = same[0] if same else scenes.clean(pack)
    with target.open("wb") as file:
        np.save(file, found)


def _stacked(scenes: list[NDArray[np.int16]]) -> NDArray[np.int16]:
    """Join counts ``(detectors, frames)`` of scenes; a shorter scene is filled up with missing frames."""
    longest = max(found.shape[1] for found in scenes)
    filled = [np.pad(found, ((0, 0), (0, longest - found.shape[1])), constant_values=_MISSING) for found in scenes]
    return np.stack(filled, axis=1)


def _canvases(content: Path) -> dict[str, Pyramid]:
    with np.load(content) as arrays:
        return {
            name.removeprefix("rgb:"): Pyramid(
                arrays[name],
                np.unpackbits(arrays[name.replace("rgb:", "mask:", 1)], count=CANVAS_SIZE[0] * CANVAS_SIZE[1])
                .reshape(CANVAS_SIZE)
                .astype(bool),
            )
            for name in arrays.files
            if name.startswith("rgb:")
        }


def _names(files: list[str]) -> list[str]:
    return [name for name in files if not name.startswith("clean:")]


def _verdicts(report: CanvasesReport, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Say of every canvas that the stage asks for what became of it."""
    rows = []
    for name in names:
        canvas = report.canvases.get(name)
        codes = [finding.code for finding in report.findings.listed if finding.where == name]
        status = codes[0] if codes else "OK"
        numbers = (canvas.regions, canvas.regions_8, canvas.covered) if canvas else (None, None, None)
        rows.append(
            {"name": name, "status": status} | dict(zip(("regions", "regions_8", "area_px"), numbers, strict=True))
        )
    return rows


def _table(verdicts: list[dict[str, Any]]) -> ImageTable:
    def column(key: str) -> NDArray[np.int64]:
        return np.array([-1 if row[key] is None else row[key] for row in verdicts])

    return ImageTable(
        names=[row["name"] for row in verdicts],
        status=[row["status"].lower().replace("_", "-") for row in verdicts],
        legal=np.array([row["area_px"] is not None for row in verdicts]),
        patches=column("regions"),
        patches_8=column("regions_8"),
        area_px=column("area_px"),
    )


EVALUATION = DrivingEvaluation()
