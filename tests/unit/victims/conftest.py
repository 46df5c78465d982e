"""Small victims with random weights: packages, files in each format, labelled noise to calibrate on."""

import hashlib
import io
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from aisc.victims.calibration import LabelledFaces
from aisc.victims.networks import Architecture, EmbeddingNetwork, build_network
from aisc.victims.package import (
    Calibration,
    NetworkDescription,
    VictimDescription,
    VictimPackage,
    WeightsDescription,
    write_package,
)
from aisc.victims.torch_models import load_network, pack_weights

TINY = NetworkDescription(family="squeeze", widths=(8, 8, 8, 8), depths=(1, 1, 1), dim=16)
RECORD = Calibration(
    rule="false-accept-rate",
    target_false_accept_rate=0.001,
    false_accept_rate=0.0009,
    true_accept_rate=0.9,
    best_accuracy=0.98,
    genuine_pairs=100,
    impostor_pairs=10_000,
    data="made for a test",
    data_sha256="ab" * 32,
)


class ModelFiles(NamedTuple):
    """One network in three formats."""

    builtin: VictimPackage
    script: Path
    onnx: Path
    network: EmbeddingNetwork


def describe(weights: bytes, **changes: object) -> VictimDescription:
    content: dict[str, object] = {
        "name": "tiny",
        "format": "builtin",
        "architecture": TINY,
        "weights": WeightsDescription(file="weights.safetensors", sha256=hashlib.sha256(weights).hexdigest()),
        "mirror": True,
        "dim": 16,
        "threshold": 0.25,
        "calibration": RECORD,
    }
    return VictimDescription.model_validate(content | changes)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(5)
    network = build_network(Architecture(**TINY.model_dump()))
    with torch.no_grad():
        for _ in range(3):  # gives the batch norms statistics of their own
            network(torch.randint(0, 256, (16, 3, 112, 112)).float())
    weights = pack_weights(network.eval())
    package = write_package(folder / "builtin", describe(weights), weights)
    stored = load_network(package)
    torch.jit.script(stored).save(str(folder / "tiny.pt"))  # type: ignore[no-untyped-call]
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter without onnxscript warns that it is the older one
        torch.onnx.export(
            stored,
            (torch.zeros(2, 3, 112, 112),),
            buffer,
            dynamo=False,
            input_names=["images"],
            output_names=["embeddings"],
            dynamic_axes={"images": {0: "n"}, "embeddings": {0: "n"}},
        )
    (folder / "tiny.onnx").write_bytes(buffer.getvalue())
    return ModelFiles(package, folder / "tiny.pt", folder / "tiny.onnx", stored)


@pytest.fixture(scope="session")
def faces() -> LabelledFaces:
    """Twenty-four people, three noisy pictures each: 72 genuine and 2484 impostor pairs."""
    rng = np.random.default_rng(3)
    base = rng.integers(20, 230, (24, 1, 14, 14, 3)).repeat(8, axis=2).repeat(8, axis=3)
    images = base + rng.integers(-20, 20, (24, 3, 112, 112, 3))
    return LabelledFaces(images.reshape(-1, 112, 112, 3).astype(np.uint8), np.arange(72) // 3, "noise made for a test")
