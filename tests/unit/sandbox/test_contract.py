"""Requests and limits that the platform itself gets wrong."""

from pathlib import Path

import pytest

from aisc.errors import UsageError
from aisc.sandbox.contract import MIB, Limits, SandboxRequest

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize("name", Limits.__slots__)
def test_limits_that_limit_nothing_are_refused(name: str) -> None:
    if name == "gpus":
        Limits(gpus=0)
        with pytest.raises(UsageError, match="gpus"):
            Limits(gpus=-1)
        return
    for value in (0, -1, float("nan")):
        with pytest.raises(UsageError, match=name):
            Limits(**{name: value})


def test_T10_folders_in_memory_must_leave_room() -> None:
    with pytest.raises(UsageError, match="memory"):
        Limits(memory_bytes=100 * MIB, tmp_bytes=50 * MIB, shm_bytes=25 * MIB, output_bytes=25 * MIB)


def test_a_runtime_needs_some_processes() -> None:
    with pytest.raises(UsageError, match="processes"):
        Limits(processes=4)


@pytest.mark.parametrize("image", ["python:3.11", "sha256:abc", "latest", DIGEST.upper(), DIGEST + "\n", "a@" + DIGEST])
def test_T18_only_a_digest_names_an_image(tmp_path: Path, image: str) -> None:
    with pytest.raises(UsageError, match="digest"):
        SandboxRequest(image, (), tmp_path, tmp_path, ())


@pytest.mark.parametrize("name", ["../a", "/a", "a/b", "", ".", "..", ".hidden", "a\0b", "a" * 101, "-rf"])
def test_T03_declared_outputs_are_plain_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="plain file name"):
        SandboxRequest(DIGEST, (), tmp_path, tmp_path, (name,))


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PATH", "AWS_SECRET_ACCESS_KEY", "AISC_", "aisc_x", "AISC_X=1"])
def test_T02_variables_are_on_the_allow_list(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="allow-list"):
        SandboxRequest(DIGEST, (), tmp_path, tmp_path, (), environment={name: "1"})


def test_an_image_may_set_its_path_but_not_where_it_writes(tmp_path: Path) -> None:
    request = SandboxRequest(DIGEST, (), tmp_path, tmp_path, (), environment={"AISC_SEED": "7"})
    full = request.full_environment({"PATH": "/opt/conda/bin", "HOME": "/root", "TMPDIR": "/data", "TZ": "UTC"})
    assert full == {
        "AISC_SEED": "7",
        "HOME": "/tmp",  # noqa: S108
        "HOSTNAME": "sandbox",
        "LANG": "C.UTF-8",
        "PATH": "/opt/conda/bin",
        "TMPDIR": "/tmp",  # noqa: S108
        "TZ": "UTC",
    }


def test_folders_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder"):
        SandboxRequest(DIGEST, (), tmp_path / "none", tmp_path, ())
