"""A face classifier's package: a folder with `classifier.json` beside its weights; docs/formats/safair-models.md."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from aisc.victims.builtin import builtin_names
from aisc.victims.package import InputDescription
from aisc.victims.packages import Package, PackageDescription, PackageKind, Strict

DESCRIPTION: Final = "classifier.json"

Task = Literal["reid", "attributes"]
"""Who is it, out of known people; or which attributes are seen."""
Points = Annotated[float, Field(ge=0, le=100)]


class ClassifierShape(Strict):
    """Which built-in network the weights fill; its outputs follow from the task."""

    widths: tuple[int, int, int]
    hidden: int = Field(ge=8, le=2048)


class MeasuredAccuracy(Strict):
    """What the classifier does on pictures that it never saw, in points.

    Attributes:
        clean: Accuracy on clean pictures: who is shown, or the share of the given attributes told rightly.
        probes: The same under each probe, computed on this very model.
        epsilon: Of the probes, in grey levels.
        data: Where the pictures come from.
    """

    clean: Points
    probes: dict[Literal["fgsm", "bim", "pgd"], Points]
    epsilon: int = Field(ge=1, le=255)
    data: str = Field(min_length=1, max_length=400)


class ClassifierDescription(PackageDescription):
    """The content of `classifier.json`.

    Attributes:
        task: What it tells.
        format: How the weights are stored. Whatever the format, the model maps pictures to logits `(n, outputs)`.
        architecture: Of a built-in network.
        people: How many it knows, for `reid` alone.
        attributes: Their names in the order of the logits, for `attributes` alone; one is seen when its logit is above
            0.
        defence: What it was trained against.
        input: What the model expects of a picture.
        measured: What it does, clean and attacked.
    """

    version: Literal[1] = 1
    task: Task
    format: Literal["builtin", "torchscript", "onnx"]
    architecture: ClassifierShape | None = None
    people: int | None = Field(default=None, ge=2)
    attributes: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,40}$")], ...] = ()
    defence: Literal["none", "fgsm"] = "none"
    input: InputDescription = InputDescription()
    measured: MeasuredAccuracy

    @model_validator(mode="after")
    def _parts_go_together(self) -> "ClassifierDescription":
        if (self.format == "builtin") != (self.architecture is not None):
            raise ValueError("architecture belongs to the format builtin, and to it alone")
        if (self.task == "reid") != (self.people is not None) or (self.task == "attributes") != bool(self.attributes):
            raise ValueError("people belong to the task reid, attributes to the task attributes")
        return self

    @property
    def outputs(self) -> int:
        """Give how many logits a picture has."""
        return self.people if self.people is not None else len(self.attributes)


ClassifierPackage = Package[ClassifierDescription]
"""A classifier's folder, its description and the checked bytes of its weights."""


def read_classifier_description(folder: Path) -> ClassifierDescription:
    """Read and check `classifier.json` without touching the weights; raises as `PackageKind.read` does."""
    return _kind().read(folder)


def load_classifier_package(folder: Path) -> ClassifierPackage:
    """Read a package and check its weights; raises as `PackageKind.load` does."""
    return _kind().load(folder)


def write_classifier_package(folder: Path, description: ClassifierDescription, weights: bytes) -> ClassifierPackage:
    """Write a package and read it back."""
    return _kind().write(folder, description, weights)


def _kind() -> PackageKind[ClassifierDescription]:
    shipped = f"Name the folder of a classifier's package; shipped are {', '.join(builtin_names('classifier'))}."
    return PackageKind(
        ClassifierDescription, DESCRIPTION, "classifier", shipped, "See docs/formats/safair-models.md."
    )  # fmt: skip
