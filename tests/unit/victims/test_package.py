"""Victim packages: what is written is what is read; a changed byte or field is named."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from aisc.errors import UsageError
from aisc.victims.package import VictimDescription, load_package, read_description


@pytest.fixture
def folder(tiny: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny.builtin.folder, tmp_path / "victim"))


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "victim.json"
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v != "REMOVE"}))


def test_package_comes_back_as_it_was_written(folder: Path, tiny: Any) -> None:
    package = load_package(folder)
    assert package.description == tiny.builtin.description
    assert package.weights == (folder / "weights.safetensors").read_bytes()
    assert package.digest == tiny.builtin.digest


def test_digest_is_the_hash_of_canonical_json_and_ignores_how_the_file_is_laid_out(folder: Path) -> None:
    before = load_package(folder).digest
    content = json.loads((folder / "victim.json").read_text())
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert before == hashlib.sha256(canonical.encode()).hexdigest()
    (folder / "victim.json").write_text(json.dumps(dict(reversed(content.items())), indent=7))
    assert load_package(folder).digest == before


@pytest.mark.parametrize(
    "changes", [{"threshold": 0.26}, {"mirror": False}, {"name": "other"}, {"recipe": {"seed": 2}}]
)
def test_digest_changes_with_every_field(folder: Path, changes: dict[str, Any]) -> None:
    before = load_package(folder).digest
    edit(folder, **changes)
    assert load_package(folder).digest != before


def test_changed_weights_are_noticed(folder: Path) -> None:
    path = folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"weights\.safetensors has SHA-256") as caught:
        load_package(folder)
    assert caught.value.code == "VICTIM_WEIGHTS_CHANGED"


def test_missing_weights_and_missing_package_are_told_apart(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()
    with pytest.raises(UsageError) as caught:
        load_package(folder)
    assert caught.value.code == "VICTIM_WEIGHTS_MISSING"
    with pytest.raises(UsageError) as caught:
        load_package(folder / "nowhere")
    assert caught.value.code == "VICTIM_MISSING"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "Two Words"}, "name"),
        ({"threshold": 1.5}, "threshold"),
        ({"threshold": "REMOVE"}, "threshold"),
        ({"surprise": 1}, "surprise"),
        ({"format": "pickle"}, "format"),
        ({"weights": {"file": "../weights", "sha256": "0" * 64}}, "weights.file"),
        ({"weights": {"file": "a", "sha256": "0"}}, "weights.sha256"),
        ({"architecture": "REMOVE"}, "architecture belongs to the format builtin"),
        ({"dim": 17}, "dim must equal architecture.dim"),
        ({"input": {"size": 160}}, "input.size"),
        ({"version": 2}, "version"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(folder: Path, changes: dict[str, Any], field: str) -> None:
    edit(folder, **changes)
    with pytest.raises(UsageError) as caught:
        read_description(folder)
    assert caught.value.code == "VICTIM_DESCRIPTION_INVALID"
    assert str(folder / "victim.json") in caught.value.message
    assert field in caught.value.message
    assert caught.value.remedy


def test_text_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / "victim.json").write_text("{")
    with pytest.raises(UsageError) as caught:
        read_description(folder)
    assert caught.value.code == "VICTIM_DESCRIPTION_INVALID"


def test_calibration_needs_its_target_with_its_rule(folder: Path) -> None:
    calibration = json.loads((folder / "victim.json").read_text())["calibration"] | {"rule": "best-accuracy"}
    edit(folder, calibration=calibration)
    with pytest.raises(UsageError, match="target_false_accept_rate"):
        read_description(folder)


def test_description_is_immutable(tiny: Any) -> None:
    description: VictimDescription = tiny.builtin.description
    with pytest.raises(ValueError, match="frozen"):
        description.threshold = 0.9  # type: ignore[misc]
