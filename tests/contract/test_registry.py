"""Images from a real registry: the tag is settled once, and the manifest is looked at before any layer."""

import pytest

from aisc.errors import SubmissionRefusedError, UsageError
from aisc.sandbox.base_image import write_base_image
from aisc.sandbox.image_archive import check_image
from aisc.sandbox.image_rules import ImageLimits
from aisc.sandbox.registry import fetch_image
from tests.services import image_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    if image_registry.why_not():
        pytest.skip(image_registry.MISSING)
    with image_registry.running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def pushed(registry, tmp_path, monkeypatch):
    """Give a function that stores an image with one program of that content under a name."""
    for name, value in registry.settings.items():
        monkeypatch.setenv(name, value)

    def push(name: str, program: bytes) -> str:
        archive = tmp_path / f"{len(program)}.tar"
        write_base_image(archive, {"program": program})
        registry.push(archive, name)
        archive.unlink()
        return f"{registry.address}/{name}"

    return push


def test_T18_a_tag_that_moves_after_the_receipt_changes_nothing(pushed, tmp_path):
    reference = pushed("team/tracer:v1", b"#!/bin/sh\n")
    first = fetch_image(reference, tmp_path / "first.tar", ImageLimits())
    pushed("team/tracer:v1", b"#!/bin/sh\nexit 1\n")
    moved = fetch_image(reference, tmp_path / "moved.tar", ImageLimits())
    again = fetch_image(first.name, tmp_path / "again.tar", ImageLimits())
    assert moved.digest != first.digest == again.digest
    assert first.name.endswith(f"/team/tracer@{first.digest}")
    checked = tmp_path / "checked"
    checked.mkdir()
    names = ("first", "moved", "again")
    images = [check_image(tmp_path / f"{name}.tar", checked, ImageLimits()) for name in names]
    assert all(found.image is not None for found in images), [found.findings for found in images]
    digests = [found.image.digest for found in images]
    assert digests[0] == digests[2] != digests[1]
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "again.tar").read_bytes()


def test_T19_caps_are_held_before_a_layer_is_fetched(pushed, tmp_path):
    reference = pushed("team/giant:v1", b"x" * 100_000)
    with pytest.raises(SubmissionRefusedError, match="IMAGE_TOO_LARGE"):
        fetch_image(reference, tmp_path / "a.tar", ImageLimits(archive_bytes=1000))
    with pytest.raises(SubmissionRefusedError, match="IMAGE_TOO_MANY_LAYERS"):
        fetch_image(reference, tmp_path / "a.tar", ImageLimits(layers=0))
    assert not (tmp_path / "a.tar").exists()


def test_what_is_not_there_is_said(pushed, tmp_path):
    reference = pushed("team/here:v1", b"#!/bin/sh\n")
    with pytest.raises(SubmissionRefusedError, match="IMAGE_NOT_FOUND"):
        fetch_image(reference.replace("here", "elsewhere"), tmp_path / "a.tar", ImageLimits())


@pytest.mark.parametrize("reference", ["--help", "a b", "", "x;rm", "dir:/etc", "Ü/x"])
def test_only_a_reference_is_taken(reference, tmp_path):
    with pytest.raises((UsageError, SubmissionRefusedError), match=r"IMAGE_REFERENCE|IMAGE_NOT_FOUND|SKOPEO_MISSING"):
        fetch_image(reference, tmp_path / "a.tar", ImageLimits())
    assert not (tmp_path / "a.tar").exists()
