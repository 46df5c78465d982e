"""The model repository: what is written for Triton, that it answers as the package, and what is refused."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from aisc.adapters.triton_endpoint import Endpoint, endpoint_from
from aisc.errors import AiscError, PlatformError, UsageError
from aisc.victims.builtin import builtin_package
from aisc.victims.detector_package import (
    DetectorDescription,
    HeadDescription,
    Measured,
    write_detector_package,
)
from aisc.victims.package import InputDescription, WeightsDescription, write_package
from aisc.victims.serving.exporting import ServedModel, serve_package
from aisc.victims.serving.model import onnx_runner, prove, script_runner
from aisc.victims.serving.probe import find_sick
from aisc.victims.serving.repository import write_model_repository
from aisc.victims.serving.versions import version_of

NOISE = np.random.default_rng(4).integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def repository(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("serving") / "repository"
    write_model_repository({"tiny": tiny.builtin.folder, "road": builtin_package("road-anchors")}, target)
    return target


def imported(tiny: Any, kind: str, weights: bytes, folder: Path, **changes: Any) -> Path:
    content = tiny.builtin.description.model_dump() | {"format": kind, "architecture": None} | changes
    content["weights"] = {"file": f"model.{kind}", "sha256": hashlib.sha256(weights).hexdigest()}
    return write_package(folder, type(tiny.builtin.description).model_validate(content), weights).folder


def answers(model: ServedModel, question: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.weights, providers=["CPUExecutionProvider"])
    return list(session.run([one.name for one in model.answers], {model.question.name: question}))


# Exports.


def test_a_builtin_verifier_takes_bytes_and_gives_raw_embeddings(tiny: Any) -> None:
    model = serve_package(tiny.builtin.folder)
    assert (model.runtime, model.batch, model.question) == ("onnx", 64, ("pictures", "uint8", (112, 112, 3)))
    assert [one.dims for one in model.answers] == [(16,)]
    with torch.inference_mode():
        expected = tiny.network(torch.from_numpy(NOISE).permute(0, 3, 1, 2).float()).numpy()
    np.testing.assert_allclose(answers(model, NOISE)[0], expected, atol=2e-6)


def test_an_onnx_file_stays_as_it_is_with_the_input_that_was_declared(tiny: Any, tmp_path: Path) -> None:
    declared = InputDescription(colours="bgr", mean=(10, 20, 30), scale=(0.5, 1, 2))
    model = serve_package(imported(tiny, "onnx", tiny.onnx.read_bytes(), tmp_path, input=declared))
    assert model.weights == tiny.onnx.read_bytes()
    assert model.question == ("images", "float32", (3, 112, 112))
    assert model.answers[0].name == "embeddings"
    picture = model.canary[0]
    assert (picture[0].min(), picture[0].max()) == (-5, 122.5)  # blue: (0 - 10) * 0.5 to (255 - 10) * 0.5
    assert (picture[2].min(), picture[2].max()) == (-60, 450)  # red: (0 - 30) * 2 to (255 - 30) * 2


def test_torchscript_becomes_onnx_where_it_can_be_said(tiny: Any, tmp_path: Path) -> None:
    model = serve_package(imported(tiny, "torchscript", tiny.script.read_bytes(), tmp_path))
    assert model.runtime == "onnx"
    np.testing.assert_allclose(
        answers(model, NOISE)[0], answers(serve_package(tiny.builtin.folder), NOISE)[0], atol=2e-6
    )


def test_what_cannot_be_said_in_onnx_stays_torchscript(tiny: Any, tmp_path: Path) -> None:
    class BeyondOnnx(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = tiny.network

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return self.network(pictures) + 1e-3 * torch.special.bessel_j0(self.network(pictures))

    traced = torch.jit.trace(BeyondOnnx(), torch.zeros(2, 3, 112, 112), check_trace=False)
    traced.save(str(tmp_path / "beyond.pt"))
    folder = imported(tiny, "torchscript", (tmp_path / "beyond.pt").read_bytes(), tmp_path / "package")
    model = serve_package(folder)
    assert model.runtime == "torchscript"
    with torch.inference_mode():
        expected = BeyondOnnx()(torch.from_numpy(NOISE).permute(0, 3, 1, 2).float()).numpy()
    np.testing.assert_allclose(script_runner(model.weights, "cpu")(NOISE)[0], expected, atol=2e-6)


def test_a_network_that_answers_differently_once_exported_is_refused(tiny: Any, tmp_path: Path) -> None:
    class ByBatch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = tiny.network

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return self.network(pictures) + pictures.shape[0]

    torch.jit.trace(ByBatch(), torch.zeros(2, 3, 112, 112), check_trace=False).save(str(tmp_path / "batch.pt"))
    with pytest.raises(PlatformError) as caught:
        serve_package(imported(tiny, "torchscript", (tmp_path / "batch.pt").read_bytes(), tmp_path / "p", mirror=False))
    assert caught.value.code == "SERVING_EXPORT"


def test_a_detector_gives_its_raw_maps() -> None:
    model = serve_package(builtin_package("road-anchors"))
    assert (model.batch, model.question.dims) == (8, (256, 416, 3))
    assert [one.dims for one in model.answers] == [(27, 32, 52), (27, 16, 26), (27, 8, 13)]


def test_a_detector_that_gives_ready_boxes_is_refused_with_the_way_out(tmp_path: Path) -> None:
    description = DetectorDescription(
        name="ready", format="torchscript", head=HeadDescription(kind="boxes"),
        weights=WeightsDescription(file="model.pt", sha256=hashlib.sha256(b"x").hexdigest()),
        measured=Measured(precision=0, recall_album=0, false_alarms=0, data="a test"),
    )  # fmt: skip
    with pytest.raises(UsageError) as caught:
        serve_package(write_detector_package(tmp_path, description, b"x").folder)
    assert caught.value.code == "SERVING_HEAD"


# The repository.


def test_a_model_is_named_by_its_digest_and_configured_for_batches(repository: Path, tiny: Any) -> None:
    version = version_of(tiny.builtin.digest)
    assert f"{version:x}" == tiny.builtin.digest[:15].lstrip("0")
    assert {path.relative_to(repository / "tiny").as_posix() for path in (repository / "tiny").rglob("*.*")} == {
        "config.pbtxt", f"{version}/model.onnx", f"{version}/model.py", "warmup/answer.expected", "warmup/canary.json"
    }  # fmt: skip
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    config = text_format.Parse((repository / "tiny" / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    assert (config.name, config.backend, config.max_batch_size) == ("tiny", "python", 64)
    assert list(config.version_policy.specific.versions) == [version]
    assert list(config.dynamic_batching.preferred_batch_size) == [64]
    (group,) = config.instance_group
    assert (group.count, group.kind) == (2, model_config_pb2.ModelInstanceGroup.KIND_CPU)
    assert config.parameters["digest"].string_value == tiny.builtin.digest
    assert [one.name for one in config.model_warmup] == ["canary"]


def test_a_gpu_gets_tritons_own_onnx_backend(tiny: Any, tmp_path: Path) -> None:
    write_model_repository({"tiny": tiny.builtin.folder}, tmp_path / "repository", device="gpu")
    text = (tmp_path / "repository" / "tiny" / "config.pbtxt").read_text()
    assert 'backend: "onnxruntime"' in text
    assert "KIND_GPU" in text
    assert not list((tmp_path / "repository").rglob("model.py"))


def test_the_canary_is_the_packages_own_answer(repository: Path, tiny: Any) -> None:
    folder = repository / "tiny" / "warmup"
    canary = np.frombuffer((folder / "canary").read_bytes(), np.uint8).reshape(2, 112, 112, 3)
    with torch.inference_mode():
        expected = tiny.network(torch.from_numpy(canary.copy()).permute(0, 3, 1, 2).float()).numpy()
    np.testing.assert_allclose(
        np.frombuffer((folder / "answer.expected").read_bytes(), "<f4").reshape(2, 16), expected, atol=1e-6
    )
    assert json.loads((folder / "canary.json").read_text())["digest"] == tiny.builtin.digest


def test_a_repository_is_replaced_whole_and_nothing_else_is(repository: Path, tiny: Any, tmp_path: Path) -> None:
    target = tmp_path / "repository"
    write_model_repository({"one": tiny.builtin.folder, "two": tiny.builtin.folder}, target)
    write_model_repository({"two": tiny.builtin.folder}, target)
    assert [path.name for path in target.iterdir()] == ["two"]
    assert [path.name for path in tmp_path.iterdir()] == ["repository"]
    (target / "letters").mkdir()
    with pytest.raises(UsageError) as caught:
        write_model_repository({"two": tiny.builtin.folder}, target)
    assert caught.value.code == "SERVING_TARGET"
    assert (target / "letters").is_dir()


def test_a_failed_export_leaves_the_old_repository(tiny: Any, tmp_path: Path) -> None:
    target = tmp_path / "repository"
    write_model_repository({"tiny": tiny.builtin.folder}, target)
    with pytest.raises(AiscError):
        write_model_repository({"other": tmp_path / "nowhere"}, target)
    assert [path.name for path in target.iterdir()] == ["tiny"]


# What runs inside the server.


def test_a_model_proves_itself_on_its_canary_or_does_not_load(repository: Path) -> None:
    (weights,) = (repository / "tiny").glob("*/model.onnx")
    run = onnx_runner(weights.read_bytes(), "pictures", ["answer"], on_gpu=False)
    prove(run, repository / "tiny" / "warmup")
    wrongs: list[Any] = [lambda batch: [run(batch)[0] + 2e-4], lambda batch: [run(batch)[0] * np.nan]]
    for wrong in [*wrongs, lambda batch: [run(batch)[0][:1]], lambda batch: [np.empty(0, np.float32)]]:
        with pytest.raises(RuntimeError, match="tiny does not answer its canary"):
            prove(wrong, repository / "tiny" / "warmup")


class _Answers(BaseHTTPRequestHandler):
    """Answers every question with the bytes that the test put into ``body``."""

    body = b""
    asked: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.path)
        head = json.dumps({"outputs": [{"name": "answer", "parameters": {"binary_data_size": len(self.body)}}]})
        self.send_response(200)
        self.send_header("Inference-Header-Content-Length", str(len(head)))
        self.end_headers()
        self.wfile.write(head.encode() + self.body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def answering() -> Iterator[tuple[type[_Answers], str]]:
    """A web server that says what it is told to: real Triton is in the contract tests."""
    handler = type("Handler", (_Answers,), {"asked": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield handler, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_probe_believes_right_answers_alone(repository: Path, tmp_path: Path, answering: Any, tiny: Any) -> None:
    handler, url = answering
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "tiny").symlink_to(repository / "tiny")
    right = np.frombuffer((repository / "tiny" / "warmup" / "answer.expected").read_bytes(), "<f4")
    handler.body = right.tobytes()
    assert find_sick(alone, url) == {}
    assert handler.asked == [f"/v2/models/tiny/versions/{version_of(tiny.builtin.digest)}/infer"] * 2  # instances
    for wrong in (right + 2e-4, right * np.nan, right[:-1], right[:0]):
        handler.body = wrong.astype("<f4").tobytes()
        assert find_sick(alone, url) == {"tiny": "answer is not what the package answers"}


def test_the_probe_of_a_server_that_is_away_says_so_for_every_model(repository: Path) -> None:
    sick = find_sick(repository, "http://127.0.0.1:9", 1)
    assert set(sick) == {"tiny", "road"}
    assert "refused" in sick["tiny"]


# Where victims are served.


def test_the_environment_names_the_server_or_none() -> None:
    assert endpoint_from({}) is None
    assert endpoint_from({"AISC_VICTIMS_ADDRESS": "victims:8001"}) == Endpoint("victims:8001")
    both = {"AISC_VICTIMS_ADDRESS": "127.0.0.1:8001", "AISC_TRITON_MEMORY_KEY": "k"}
    assert endpoint_from(both) == Endpoint("127.0.0.1:8001", "k")
    for wrong in ("victims", ":8001", "victims:http"):
        with pytest.raises(UsageError) as caught:
            endpoint_from({"AISC_VICTIMS_ADDRESS": wrong})
        assert caught.value.code == "VICTIMS_ADDRESS"
