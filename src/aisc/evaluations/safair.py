"""What attacks and defences of SAFAIR have in common: programs, the data that is handed out, rules about people."""

import json
import re
import shutil
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import BaseModel

from aisc.datasets.attribute_faces import DESCRIPTION, Split, content_sha256, read_description
from aisc.evaluations.contract import Checked, Checkup, Evaluation, Tick
from aisc.evaluations.programs import check_archive, image_limits, read_record
from aisc.identity import Plan, Version
from aisc.ledger.runs import Score
from aisc.ledger.submissions import Earlier
from aisc.sandbox.image_rules import ImageLimits
from aisc.sandbox.running import images_cache
from aisc.season import StageRef
from aisc.submission.findings import Finding, Findings, Rule
from aisc.tracks.face import ExpertVerdict
from aisc.tracks.safair import SafairScore
from aisc.tracks.safair_limits import SafairLimits
from aisc.tracks.safair_teams import Place, check_entry_name, check_side, side_of
from aisc.workbench import MANIFEST, Workbench

OPEN_SPLITS: Final[tuple[Split, ...]] = ("train", "val")


class SafairEvaluation(Evaluation):
    """Both rulebooks, ``safair-attack`` and ``safair-defence``.

    Attributes:
        limits_type: What the rulebook knows as limits.
    """

    kit_folder: ClassVar[str] = "faces"
    limits_type: ClassVar[type[SafairLimits]]

    def review_form(self, stage: str, *, entered: bool = False) -> type[BaseModel]:
        """Take a verdict: ``fail`` disqualifies, as for an organizer's own team or code that was not released."""
        return ExpertVerdict

    def admit(self, ref: StageRef, team: str, filename: str, earlier: Sequence[Earlier]) -> list[Finding]:
        """Hold a team to its side of the task, and a file's name to the convention where the stage asks for it."""
        found = check_side(ref.track, [one.stage.partition("/")[0] for one in earlier])
        if ref.stage.limits["names"]:
            place = Place(plain_name(team), side_of(ref.track)[0], (ref.stage.data or "").rpartition("/")[2])
            sent = [entry_name(one.filename) for one in earlier if one.stage == ref.path]
            found += check_entry_name(entry_name(filename), place, sent)
        return found

    def image_limits(self, limits: Mapping[str, Any]) -> ImageLimits:
        """Give the caps on a submitted image."""
        return image_limits(self.limits_type.model_validate(limits))

    def open_data(self, ref: StageRef) -> str | None:
        """Hand out the stage's dataset without its hidden part."""
        return ref.stage.data

    def hand_out(self, data: Path, folder: Path) -> None:
        """Copy the public splits; the description loses the recipe, whose seed would make the hidden part again."""
        described = read_description(data)
        folder.mkdir(parents=True)
        for split in OPEN_SPLITS:
            shutil.copytree(data / split, folder / split, ignore=shutil.ignore_patterns(MANIFEST))
            shutil.copy(data / f"{split}.csv", folder / f"{split}.csv")
        images = {split: described.images[split] for split in OPEN_SPLITS}
        public = described.model_copy(update={"images": images, "recipe": {}, "sha256": content_sha256(folder)})
        text = json.dumps(public.model_dump(mode="json"), indent=2, sort_keys=True)
        (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")

    def write_surrogate(self, package: Path, folder: Path) -> None:
        """Write ``surrogates/NAME.pt`` and ``.onnx``."""
        from aisc.victims.classifier_models import export_classifier
        from aisc.victims.classifier_package import load_classifier_package

        export_classifier(load_classifier_package(package), folder / "surrogates")

    def check(
        self, file: Path, stage: str, limits: Mapping[str, Any], data: Path, scratch: Path, tick: Tick
    ) -> Checkup:
        """Check an image's archive; only the round runs it."""
        program, findings = check_archive(file, self.limits_type.model_validate(limits), scratch / "images")
        tick(1, 1)
        accepted = f"the {program['kind']} {program['digest'][:19]} can be run." if program else ""
        return Checkup(findings, {"images": int(bool(program))}, accepted)

    def validate(self, bench: Workbench, plan: Plan, archive: Path, checked: Checked) -> Findings:
        """Check the image's archive; content and verdicts name the program, JSON."""
        limits = self.limits_type.model_validate(plan.version.limits)
        program, findings = check_archive(archive, limits, images_cache(bench.cache), plan.submission.sha256)
        for path in checked:
            path.write_text(json.dumps({"program": program}))
        return findings

    def score(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> Score:
        """Score by accuracy, and say what the gates found."""
        found = self.delta(bench, version, checked, answers)
        record = read_record(checked.verdicts)
        parts = dict(found.parts)
        if "second_pass" in record:
            parts["second answers that differ"] = record["second_pass"]["differing"]
        if not record["confined"]:
            parts["outside a sandbox"] = 1
        return Score(found.value, found.low, found.high, parts)

    @abstractmethod
    def delta(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> SafairScore:
        """Score by the rulebook's formula."""


def team_view(findings: Findings, rules: Mapping[str, Rule]) -> Findings:
    """Give what may leave towards a team about outputs made from hidden images: which rules are broken, no more.

    Which rows are wrong, how many and by how much is the program's choice and could spell out what it saw (T41, T43).
    """
    coarse = Findings()
    for code in sorted(findings.counts):
        coarse.add(rules[code].broken("", "At least one of the program's outputs breaks this rule."))
    return coarse


def plain_name(team: str) -> str:
    """Write a team's name with the signs that an entry's name may have.

    >>> plain_name("Night Owls")
    'Night-Owls'
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "-", team)


def entry_name(filename: str) -> str:
    """Take the ending off a file's name, whatever it is.

    >>> entry_name("owls.reid.celeba.1.tar.gz")
    'owls.reid.celeba.1'
    """
    return ".".join(filename.split(".")[:4])
