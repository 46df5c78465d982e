"""Victims leave for a server or for participants: what is written, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from aisc.errors import UsageError
from aisc.victims.builtin import builtin_package
from aisc.victims.package import read_description, write_package
from aisc.victims.serving.repository import packages_by_name
from aisc.victims.serving.versions import version_of


def aisc(*words: str, cwd: Path, code: int = 0):
    done = subprocess.run(
        [sys.executable, "-m", "aisc", "victims", *words, "--json"],
        capture_output=True, text=True, check=False, cwd=cwd, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_repository_holds_the_named_networks_under_their_digests(tmp_path: Path) -> None:
    names = ["reid-undefended", "road-peaks", "sphere"]
    said = aisc("export", *names, "--repository", "models", cwd=tmp_path)
    assert [one["name"] for one in said] == names
    for one in said:
        assert one["version"] == str(version_of(one["digest"]))
        assert (tmp_path / "models" / one["name"] / one["version"] / "model.onnx").is_file()
    assert said[2]["digest"] == read_description(builtin_package("sphere")).digest


@pytest.mark.parametrize(
    "words", [("sphere",), (), ("sphere", "vgg", "--to", "a.pt"), ("sphere", "--to", "a.pt", "--repository", "models")]
)
def test_an_export_has_one_target(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert aisc("export", *words, cwd=tmp_path, code=2)["error"]["code"] == "EXPORT_TARGET"
    assert not any(tmp_path.iterdir())


def test_serving_without_a_server_says_how_to_install_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISC_TRITON", "/nowhere")
    error = aisc("serve", cwd=tmp_path, code=2)["error"]
    assert error["code"] == "TRITON_MISSING"
    assert "images/victims/install.sh" in error["remedy"]


def test_two_victims_of_one_name_are_not_served_together(tmp_path: Path) -> None:
    sphere = builtin_package("sphere")
    described = read_description(sphere)
    weights = (sphere / described.weights.file).read_bytes()
    other = write_package(tmp_path / "other", described.model_copy(update={"threshold": 0.9}), weights).folder
    assert packages_by_name([sphere, builtin_package("vgg"), sphere]) == {
        "sphere": sphere,
        "vgg": builtin_package("vgg"),
    }
    with pytest.raises(UsageError, match="sphere") as caught:
        packages_by_name([sphere, other])
    assert caught.value.code == "SERVING_NAMES"
