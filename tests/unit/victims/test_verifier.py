"""Verifiers: one contract over three formats, and what is promised of every embedding."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from aisc.errors import PlatformError, UsageError
from aisc.victims.package import InputDescription, write_package
from aisc.victims.verifier import LocalVerifier, decide, make_verifier, open_verifier, prepare, same_person, similarity

PICTURES = np.random.default_rng(1).integers(0, 256, (70, 112, 112, 3), dtype=np.uint8)


def test_embeddings_have_length_one_and_repeat_to_the_bit(tiny: Any) -> None:
    verifier = open_verifier(tiny.builtin.folder)
    first = verifier.embed(PICTURES)
    assert first.shape == (70, 16)
    assert first.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(first, verifier.embed(PICTURES))


def test_batches_do_not_show_in_the_result(tiny: Any) -> None:
    verifier = open_verifier(tiny.builtin.folder)
    parts = [verifier.embed(PICTURES[k : k + 9]) for k in range(0, 70, 9)]
    np.testing.assert_allclose(np.concatenate(parts), verifier.embed(PICTURES), atol=2e-6)


def test_no_picture_gives_no_embedding(tiny: Any) -> None:
    assert open_verifier(tiny.builtin.folder).embed(PICTURES[:0]).shape == (0, 16)


def test_mirror_adds_the_embedding_of_the_mirrored_picture(tiny: Any) -> None:
    with torch.inference_mode():
        images = torch.from_numpy(PICTURES[:5]).float().permute(0, 3, 1, 2)
        both = (tiny.network(images) + tiny.network(images.flip(3))).numpy()
    expected = both / np.linalg.norm(both, axis=1, keepdims=True)
    np.testing.assert_allclose(open_verifier(tiny.builtin.folder).embed(PICTURES[:5]), expected, atol=2e-6)
    plain = tiny.builtin.description.model_copy(update={"mirror": False})
    package = type(tiny.builtin)(tiny.builtin.folder, plain, tiny.builtin.weights)
    with torch.inference_mode():
        alone = tiny.network(images).numpy()
    np.testing.assert_allclose(make_verifier(package).embed(PICTURES[:5]), alone, atol=2e-6)


def test_mirror_makes_a_picture_and_its_mirror_image_the_same(tiny: Any) -> None:
    verifier = open_verifier(tiny.builtin.folder)
    flipped = np.ascontiguousarray(PICTURES[:4, :, ::-1])
    np.testing.assert_allclose(verifier.embed(PICTURES[:4]), verifier.embed(flipped), atol=2e-6)


@pytest.mark.parametrize("colours", ["rgb", "bgr"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_pictures_are_prepared_as_declared(colours: str, layout: str) -> None:
    declared = InputDescription(colours=colours, layout=layout, mean=(1, 2, 3), scale=(0.5, 0.25, 2.0))  # type: ignore[arg-type]
    batch = prepare(PICTURES[:2], declared)
    assert batch.dtype == np.float32
    for row, column, colour in [(0, 0, 0), (5, 60, 1), (111, 7, 2)]:
        value = float(PICTURES[1, row, column, colour if colours == "rgb" else 2 - colour])
        expected = (value - (1, 2, 3)[colour]) * (0.5, 0.25, 2.0)[colour]
        place = (1, colour, row, column) if layout == "nchw" else (1, row, column, colour)
        assert batch[place] == pytest.approx(expected)


def test_decision_takes_the_threshold_in() -> None:
    first = np.array([[1, 0], [1, 0], [0.6, 0.8]], dtype=np.float32)
    second = np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32)
    np.testing.assert_allclose(similarity(first, second), [1, 0, 0.6], atol=1e-7)
    np.testing.assert_array_equal(decide(first, second, float(similarity(first, second)[2])), [True, False, True])


def test_pairs_are_decided_by_the_packages_threshold(tiny: Any) -> None:
    verifier = open_verifier(tiny.builtin.folder)
    cosines = similarity(verifier.embed(PICTURES[:20]), verifier.embed(PICTURES[20:40]))
    expected = cosines >= tiny.builtin.description.threshold
    np.testing.assert_array_equal(same_person(verifier, PICTURES[:20], PICTURES[20:40]), expected)


@pytest.mark.parametrize(
    "images", [PICTURES[:2].astype(np.float32), PICTURES[:2, :100], PICTURES[0], PICTURES[:2, :, :, :1]]
)
def test_pictures_of_another_kind_are_refused(tiny: Any, images: NDArray[Any]) -> None:
    with pytest.raises(PlatformError) as caught:
        open_verifier(tiny.builtin.folder).embed(images)
    assert caught.value.code == "VICTIM_INPUT_INVALID"


@pytest.mark.parametrize(
    "answer",
    [
        np.full((3, 16), np.nan, np.float32),
        np.zeros((3, 16), np.float32),
        np.ones((3, 15), np.float32),
        np.ones((0, 16), np.float32),
        np.ones((3, 16), np.float64),
    ],
)
def test_nonsense_of_a_model_is_the_platforms_fault_not_a_refused_pair(tiny: Any, answer: NDArray[Any]) -> None:
    verifier = LocalVerifier(tiny.builtin.description, lambda batch: answer)
    with pytest.raises(PlatformError) as caught:
        verifier.embed(PICTURES[:3])
    assert caught.value.code == "VICTIM_OUTPUT_INVALID"


def test_bytes_that_are_no_model_are_refused_by_name(tiny: Any, tmp_path: Path) -> None:
    for kind in ("builtin", "torchscript", "onnx"):
        description = tiny.builtin.description.model_dump()
        description["format"] = kind
        description["weights"]["sha256"] = hashlib.sha256(b"no model").hexdigest()
        if kind != "builtin":
            description["architecture"] = None
        changed = type(tiny.builtin.description).model_validate(description)
        package = write_package(tmp_path / kind, changed, b"no model")
        with pytest.raises(UsageError) as caught:
            make_verifier(package)
        assert caught.value.code == "VICTIM_WEIGHTS_INVALID"
        assert str(tmp_path / kind) in caught.value.message


def test_asking_an_onnx_victim_does_not_import_torch(tiny: Any, tmp_path: Path) -> None:
    weights = tiny.onnx.read_bytes()
    content = tiny.builtin.description.model_dump() | {"format": "onnx", "architecture": None}
    content["weights"] = {"file": "model.onnx", "sha256": hashlib.sha256(weights).hexdigest()}
    write_package(tmp_path, type(tiny.builtin.description).model_validate(content), weights)
    code = (
        "import sys, pathlib, numpy\nfrom aisc.victims.verifier import open_verifier\n"
        "v = open_verifier(pathlib.Path(sys.argv[1]))\n"
        "assert v.embed(numpy.zeros((2, 112, 112, 3), numpy.uint8) + 9).shape == (2, 16)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
