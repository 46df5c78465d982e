"""What all packages of models share: a folder with a description beside its weights, both checked where they are read.

The description is checked by its schema, the weights by their SHA-256. The digest of a package names the model in
scores, so that a result is bound to the very weights and thresholds that gave it.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aisc.errors import UsageError
from aisc.identity import digest as content_digest

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]


class Strict(BaseModel):
    """A part of a description: nothing unknown, nothing that changes, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class WeightsDescription(Strict):
    """The file of weights and what it must hash to."""

    file: FileName
    sha256: Sha256


class PackageDescription(Strict):
    """What every description has."""

    name: Name
    weights: WeightsDescription
    recipe: dict[str, Any] = {}

    @property
    def digest(self) -> str:
        """Give the SHA-256 of this description in canonical JSON, which names the weights by theirs."""
        return content_digest(self.model_dump(mode="json", exclude_none=True))


DescriptionT = TypeVar("DescriptionT", bound=PackageDescription)


class Package(Generic[DescriptionT]):
    """A model's folder, its description and the checked bytes of its weights."""

    def __init__(self, folder: Path, description: DescriptionT, weights: bytes) -> None:
        """Keep the three; use `PackageKind.load`, which checks them."""
        self.folder = folder
        self.description = description
        self.weights = weights

    @property
    def digest(self) -> str:
        """Give the name of the model by content."""
        return self.description.digest


@dataclass(frozen=True, slots=True)
class PackageKind(Generic[DescriptionT]):
    """How packages of one kind are read and written.

    Attributes:
        schema: Of the description.
        file: The description's file name, by which the kind is known.
        noun: What the model is called in messages.
        where: Remedy when there is no package: what to name instead.
        again: Remedy when the description is wrong.
    """

    schema: type[DescriptionT]
    file: str
    noun: str
    where: str
    again: str

    def read(self, folder: Path) -> DescriptionT:
        """Read and check the description without touching the weights.

        Raises:
            UsageError: VICTIM_MISSING or VICTIM_DESCRIPTION_INVALID.
        """
        path = folder / self.file
        try:
            return self.schema.model_validate_json(path.read_bytes(), strict=False)
        except OSError as error:
            raise UsageError("VICTIM_MISSING", f"{path} cannot be read ({error.strerror}).", self.where) from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "the file"
            raise UsageError("VICTIM_DESCRIPTION_INVALID", f"{path}: {field}: {first['msg']}.", self.again) from error

    def load(self, folder: Path) -> Package[DescriptionT]:
        """Read a package and check that its weights are those that its description names.

        Raises:
            UsageError: VICTIM_MISSING, VICTIM_DESCRIPTION_INVALID, VICTIM_WEIGHTS_MISSING or VICTIM_WEIGHTS_CHANGED.
        """
        description = self.read(folder)
        path = folder / description.weights.file
        try:
            weights = path.read_bytes()
        except OSError as error:
            raise UsageError(
                "VICTIM_WEIGHTS_MISSING", f"{path} cannot be read ({error.strerror}).",
                f"Copy the whole folder of the {self.noun}, with its weights.",
            ) from error  # fmt: skip
        found = hashlib.sha256(weights).hexdigest()
        if found != description.weights.sha256:
            raise UsageError(
                "VICTIM_WEIGHTS_CHANGED",
                f"{path} has SHA-256 {found}, but {self.file} names {description.weights.sha256}.",
                f"Take the weights that were measured, or write these into a new {self.noun}'s package.",
            )
        return Package(folder, description, weights)

    def write(self, folder: Path, description: DescriptionT, weights: bytes) -> Package[DescriptionT]:
        """Write a package; weights first, so that a description never names a file that is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / description.weights.file).write_bytes(weights)
        text = json.dumps(description.model_dump(mode="json", exclude_none=True), indent=2, ensure_ascii=False)
        (folder / self.file).write_text(text + "\n", encoding="utf-8")
        return self.load(folder)


def describe_weights(file: str, weights: bytes) -> WeightsDescription:
    """Name a file of weights by its SHA-256."""
    return WeightsDescription(file=file, sha256=hashlib.sha256(weights).hexdigest())
