"""One contract for victims here and on a real Triton server, equal scores, and what only servers get wrong."""

import hashlib
import http.client
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException

from aisc.adapters.triton import TritonVictims
from aisc.adapters.triton_endpoint import Endpoint
from aisc.adapters.triton_link import Patience, TritonLink
from aisc.adapters.triton_model import TritonModel
from aisc.adapters.triton_program import find_triton
from aisc.adapters.triton_server import Care, TritonServer, serving
from aisc.errors import PlatformError, TransientError
from aisc.synthetic.driving.album import AlbumSpec, render_album
from aisc.synthetic.faces.album import AlbumSpec as FaceSpec
from aisc.synthetic.faces.album import render_album as render_faces
from aisc.victims.builtin import builtin_names, builtin_package
from aisc.victims.classifier import answers, open_classifier
from aisc.victims.detectors import open_detector
from aisc.victims.opening import LocalVictims, Victims
from aisc.victims.package import InputDescription, load_package, write_package
from aisc.victims.torch_models import load_network
from aisc.victims.verifier import open_verifier, similarity
from tests.services import triton

pytestmark = pytest.mark.xdist_group("triton")

VERIFIERS = builtin_names("verifier")
DETECTORS = builtin_names("detector")
CLASSIFIERS = builtin_names("classifier")
IMPORTED = ("own-onnx", "own-script")
SHORT = Patience(answer_s=30, outage_s=600, pause_s=0.5)

needs_triton = pytest.mark.skipif(not triton.available(), reason=triton.MISSING)


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An organizer's own models: ONNX that wants BGR with mean and scale, pixel by pixel, and TorchScript."""
    folder = tmp_path_factory.mktemp("own")
    package = load_package(builtin_package("surrogate-plain"))
    network = load_network(package)

    class PixelByPixel(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pictures: torch.Tensor) -> Any:
            return self.network((pictures * 128.0 + 127.5).flip(3).permute(0, 3, 1, 2))

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            PixelByPixel().eval(), (torch.zeros(2, 112, 112, 3),), file, dynamo=False,
            input_names=["data"], output_names=["fc1"], dynamic_axes={"data": {0: "n"}, "fc1": {0: "n"}},
        )  # fmt: skip

    class BeyondOnnx(PixelByPixel):
        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            found = self.network(pictures)
            return found + 0.001 * torch.special.bessel_j0(found)

    script = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(BeyondOnnx().eval(), torch.zeros(2, 3, 112, 112), check_trace=False), script)
    mean, scale = (127.5,) * 3, (1 / 128.0,) * 3
    inputs = {
        "own-onnx": InputDescription(colours="bgr", layout="nhwc", mean=mean, scale=scale),
        "own-script": InputDescription(),
    }
    found = {}
    for name, kind, data in (("own-onnx", "onnx", file), ("own-script", "torchscript", script)):
        weights = {"file": f"model.{kind}", "sha256": hashlib.sha256(data.getvalue()).hexdigest()}
        content = package.description.model_dump() | {"name": name, "format": kind, "architecture": None}
        description = type(package.description).model_validate(content | {"weights": weights, "input": inputs[name]})
        found[name] = write_package(folder / name, description, data.getvalue()).folder
    return found


@pytest.fixture(scope="session")
def packages(own: dict[str, Path]) -> dict[str, Path]:
    return {name: builtin_package(name) for name in [*VERIFIERS, *DETECTORS, *CLASSIFIERS]} | own


@pytest.fixture(scope="session")
def server(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """All shipped victims and the organizer's own on one server."""
    if not triton.available():
        pytest.skip(triton.MISSING)
    with triton.running_triton(packages, tmp_path_factory.mktemp("triton")) as served:
        yield served.server


@pytest.fixture(params=["here", "triton", "triton-without-shared-memory"])
def victims(request: pytest.FixtureRequest) -> Iterator[Victims]:
    """Whatever opens victims: this process, or a server."""
    if request.param == "here":
        yield LocalVictims()
        return
    endpoint = request.getfixturevalue("server").endpoint
    served = TritonVictims(endpoint if request.param == "triton" else Endpoint(endpoint.address), SHORT)
    yield served
    served.close()


@pytest.fixture
def served(server: TritonServer) -> Iterator[TritonVictims]:
    found = TritonVictims(server.endpoint, SHORT)
    yield found
    found.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Forty-five people, two pictures each: more than one batch."""
    spec = FaceSpec(seed=77, use="test", people=45, shots=2)
    return np.asarray(render_faces(spec, jobs=2)).reshape(-1, 112, 112, 3)


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Nine roads, two moments each: more than two batches."""
    return np.asarray(render_album(AlbumSpec(7, "test", 9, 2), tmp_path_factory.mktemp("roads"), jobs=2).frames)


# The contract: what every victim promises, wherever it runs.


def test_embeddings_have_length_one_and_repeat_to_the_bit(victims: Victims, pictures: np.ndarray) -> None:
    verifier = victims.open_verifier(builtin_package("ires"))
    found = verifier.embed(pictures[:70])
    assert found.shape == (70, verifier.description.dim)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(found, verifier.embed(pictures[:70]))


def test_logits_are_finite_and_repeat_to_the_bit(victims: Victims, pictures: np.ndarray) -> None:
    classifier = victims.open_classifier(builtin_package("reid-undefended"))
    found = classifier.logits(pictures[:70])
    assert found.shape == (70, classifier.description.people)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, classifier.logits(pictures[:70]))


def test_grouping_does_not_show(victims: Victims, pictures: np.ndarray) -> None:
    asks = [
        victims.open_verifier(builtin_package("vgg")).embed,
        victims.open_classifier(builtin_package("attributes-undefended")).logits,
    ]
    for ask in asks:
        parts = [ask(pictures[k : k + 13]) for k in range(0, 70, 13)]
        whole = ask(pictures)[:70]
        np.testing.assert_allclose(np.concatenate(parts)[:70], whole, rtol=0, atol=2e-6 * max(1, np.abs(whole).max()))


def test_nothing_gives_nothing(victims: Victims, pictures: np.ndarray, frames: np.ndarray) -> None:
    classifier = victims.open_classifier(builtin_package("attributes-fgsm"))
    assert classifier.logits(pictures[:0]).shape == (0, len(classifier.description.attributes))
    verifier = victims.open_verifier(builtin_package("ires"))
    assert verifier.embed(pictures[:0]).shape == (0, verifier.description.dim)
    assert victims.open_detector(builtin_package("road-peaks")).detect(frames[:0]) == []


def test_inputs_of_another_kind_are_the_platforms_fault(
    victims: Victims, pictures: np.ndarray, frames: np.ndarray
) -> None:
    verifier = victims.open_verifier(builtin_package("ires"))
    detector = victims.open_detector(builtin_package("road-peaks"))
    classifier = victims.open_classifier(builtin_package("reid-fgsm"))
    asks: list[tuple[Callable[[np.ndarray], object], np.ndarray, str]] = [
        (classifier.logits, pictures[:2].astype(np.float32), "VICTIM_INPUT_INVALID"),
        (classifier.logits, pictures[:2, :50], "VICTIM_INPUT_INVALID"),
        (verifier.embed, pictures[:2].astype(np.float32), "VICTIM_INPUT_INVALID"),
        (verifier.embed, pictures[:2, :50], "VICTIM_INPUT_INVALID"),
        (detector.detect, frames[:1, :100], "DETECTOR_INPUT_INVALID"),
    ]
    for ask, bad, code in asks:
        with pytest.raises(PlatformError) as caught:
            ask(bad)
        assert caught.value.code == code


def test_a_description_is_the_packages(victims: Victims) -> None:
    face, task = builtin_package("ires"), builtin_package("reid-fgsm")
    assert victims.open_verifier(face).description == load_package(face).description
    assert victims.open_classifier(task).description == open_classifier(task).description


# Parity: a victim on a server scores as it does here.


@needs_triton
@pytest.mark.parametrize("name", [*VERIFIERS, *IMPORTED])
def test_served_scores_are_the_same_and_so_is_every_decision(
    name: str, served: TritonVictims, packages: dict[str, Path], pictures: np.ndarray
) -> None:
    here, there = open_verifier(packages[name]), served.open_verifier(packages[name])
    first, second = here.embed(pictures), there.embed(pictures)
    rows, columns = np.triu_indices(len(pictures), 1)
    one, other = similarity(first[rows], first[columns]), similarity(second[rows], second[columns])
    np.testing.assert_allclose(other, one, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(other >= here.description.threshold, one >= here.description.threshold)
    assert (one >= here.description.threshold).any()


@needs_triton
@pytest.mark.parametrize("name", DETECTORS)
def test_served_detectors_see_the_same(name: str, served: TritonVictims, frames: np.ndarray) -> None:
    here, there = open_detector(builtin_package(name)).detect(frames), served.open_detector(builtin_package(name))
    found = there.detect(frames)
    assert sum(len(seen.scores) for seen in here) >= 10
    for one, other in zip(here, found, strict=True):
        np.testing.assert_array_equal(other.labels, one.labels)
        np.testing.assert_allclose(other.scores, one.scores, rtol=0, atol=1e-5)
        np.testing.assert_allclose(other.boxes, one.boxes, rtol=0, atol=2e-3)  # pixels


@needs_triton
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_served_classifiers_say_the_same(name: str, served: TritonVictims, pictures: np.ndarray) -> None:
    here, there = open_classifier(builtin_package(name)), served.open_classifier(builtin_package(name))
    first, second = here.logits(pictures), there.logits(pictures)
    task = here.description.task
    np.testing.assert_array_equal(answers(task, second), answers(task, first))
    assert len(np.unique(answers(task, first), axis=0)) > 3
    np.testing.assert_allclose(_shares(task, second), _shares(task, first), rtol=0, atol=1e-5)


def _shares(task: str, logits: np.ndarray) -> np.ndarray:
    """Bring logits between 0 and 1, as scores: what each person, or each attribute, is given."""
    exact = logits.astype(float)
    exponents = np.exp(exact - exact.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True) if task == "reid" else 1 / (1 + np.exp(-exact))


@needs_triton
def test_several_callers_at_once_get_their_own_answers(served: TritonVictims, pictures: np.ndarray) -> None:
    verifier = served.open_verifier(builtin_package("ires"))
    groups = [pictures[k : k + 30] for k in range(0, 90, 15)]
    expected = [verifier.embed(group) for group in groups]
    found: dict[int, np.ndarray] = {}

    def ask(number: int) -> None:
        found[number] = verifier.embed(groups[number])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(groups))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, one in enumerate(expected):
        np.testing.assert_allclose(found[number], one, atol=2e-6)


@needs_triton
def test_shared_memory_is_given_back(served: TritonVictims, pictures: np.ndarray) -> None:
    verifier = served.open_verifier(builtin_package("ires"))
    before = set(os.listdir("/dev/shm"))  # noqa: S108
    verifier.embed(pictures[:5])
    with pytest.raises(PlatformError):
        verifier.embed(pictures[:5].astype(float))
    assert not {name for name in set(os.listdir("/dev/shm")) - before if name.startswith("psm_")}  # noqa: S108


@needs_triton
def test_asking_a_served_verifier_does_not_import_torch(server: TritonServer) -> None:
    code = (
        "import sys, pathlib, numpy\nfrom aisc.adapters.triton import TritonVictims\n"
        "from aisc.adapters.triton_endpoint import Endpoint\n"
        "v = TritonVictims(Endpoint(sys.argv[1])).open_verifier(pathlib.Path(sys.argv[2]))\n"
        "assert v.embed(numpy.zeros((2, 112, 112, 3), numpy.uint8) + 9).shape == (2, 128)\n"
        "assert 'torch' not in sys.modules"
    )
    arguments = [server.endpoint.address, str(builtin_package("ires"))]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=300)


# Threats.

OPEN = ["GET /v2/health/live", "GET /v2/health/ready", "GET /v2", "GET /v2/models/ires", "GET /v2/models/ires/ready"]
SHUT = [
    "GET /v2/models/ires/config", "GET /v2/models/ires/stats", "GET /v2/models/stats", "POST /v2/repository/index",
    "POST /v2/repository/models/ires/load", "POST /v2/repository/models/ires/unload",
    "GET /v2/systemsharedmemory/status", "POST /v2/systemsharedmemory/region/x/register",
    "POST /v2/systemsharedmemory/unregister", "GET /v2/cudasharedmemory/status",
    "POST /v2/cudasharedmemory/region/x/register", "GET /v2/trace/setting", "POST /v2/trace/setting",
    "GET /v2/models/ires/trace/setting", "GET /v2/logging", "POST /v2/logging",
]  # fmt: skip


@needs_triton
def test_T21_everything_but_inference_health_and_metadata_is_403(server: TritonServer) -> None:
    line = http.client.HTTPConnection("127.0.0.1", server.ports.http, timeout=10)
    statuses = {}
    for what in [*OPEN, *SHUT]:
        method, path = what.split()
        line.request(method, path, body=b"{}" if method == "POST" else None)
        response = line.getresponse()
        response.read()
        statuses[what] = response.status
    assert {what: statuses[what] for what in OPEN} == dict.fromkeys(OPEN, 200)
    assert {what: statuses[what] for what in SHUT} == dict.fromkeys(SHUT, 403)


@needs_triton
def test_T21_grpc_is_as_shut_as_http_and_shared_memory_wants_the_key(server: TritonServer) -> None:
    client = grpc.InferenceServerClient(server.endpoint.address)
    guess = {"headers": {"triton-grpc-protocol-aisc-memory": "guess"}}
    key = {"headers": {"triton-grpc-protocol-aisc-memory": server.endpoint.memory_key}}
    shut: list[Callable[[], Any]] = [
        lambda: client.get_model_config("ires"), client.get_model_repository_index, client.get_inference_statistics,
        lambda: client.unload_model("ires"), lambda: client.load_model("ires"), client.get_trace_settings,
        client.get_log_settings, lambda: client.update_log_settings({"log_verbose_level": 1}),
        lambda: client.update_trace_settings(settings={"trace_level": "OFF"}),
        client.get_system_shared_memory_status, client.get_cuda_shared_memory_status,
        lambda: client.get_system_shared_memory_status(**guess),
        lambda: client.register_system_shared_memory("x", "/x", 8, **guess),
        lambda: client.unload_model("ires", **key),
    ]  # fmt: skip
    for call in shut:
        with pytest.raises(InferenceServerException, match="restricted"):
            call()
    client.get_system_shared_memory_status(**key)
    assert client.get_model_metadata("ires").name == "ires"


@needs_triton
def test_T21_the_server_listens_on_loopback_alone(server: TritonServer) -> None:
    processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    listening = {
        one.laddr for process in processes for one in process.net_connections("inet") if one.status == "LISTEN"
    }
    assert {address.port for address in listening} == set(server.ports)
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


@needs_triton
def test_T21_the_key_is_not_shown(server: TritonServer) -> None:
    assert server.endpoint.memory_key
    assert server.endpoint.memory_key not in repr(server.endpoint)


# Faults.


@pytest.fixture(scope="module")
def flapping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A server that tests may kill."""
    if not triton.available():
        pytest.skip(triton.MISSING)
    folder = tmp_path_factory.mktemp("flapping")
    with triton.running_triton({"ires": builtin_package("ires")}, folder, Care(triton.SLOW_S, watch_s=0.5)) as served:
        yield served.server


def _model_processes(server: TritonServer) -> list[psutil.Process]:
    return [one for one in psutil.Process(server.pid).children(recursive=True) if "stub" in one.name()]


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _embed_while(verifier: Any, pictures: np.ndarray, break_it: Callable[[], None]) -> np.ndarray:
    """Embed, and break something once the third batch is prepared: two have been sent and none was read."""
    batches = verifier._batches

    def breaking(images: np.ndarray) -> Iterator[np.ndarray]:
        for number, batch in enumerate(batches(images)):
            if number == 2:
                break_it()
            yield batch

    verifier._batches = breaking
    try:
        return np.asarray(verifier.embed(pictures))
    finally:
        verifier._batches = batches


@needs_triton
@pytest.mark.parametrize("shared", [True, False], ids=["shared-memory", "wire"])
def test_F04_a_server_killed_and_restarted_mid_batch_gives_the_same_score(
    flapping: TritonServer, pictures: np.ndarray, shared: bool
) -> None:
    victims = TritonVictims(flapping.endpoint if shared else Endpoint(flapping.endpoint.address), SHORT)
    verifier = victims.open_verifier(builtin_package("ires"))
    undisturbed, restarts = verifier.embed(pictures), flapping.restarts
    found = _embed_while(verifier, pictures, lambda: os.kill(flapping.pid, signal.SIGKILL))
    np.testing.assert_array_equal(found, undisturbed)
    assert flapping.restarts > restarts


@needs_triton
@pytest.mark.parametrize("dead", [1, 2], ids=["one-instance", "both"])
def test_F04_a_model_that_died_behind_ready_is_noticed_and_the_score_is_the_same(
    flapping: TritonServer, pictures: np.ndarray, dead: int
) -> None:
    verifier = TritonVictims(flapping.endpoint, SHORT).open_verifier(builtin_package("ires"))
    undisturbed, restarts = verifier.embed(pictures), flapping.restarts
    found = _embed_while(verifier, pictures, lambda: [one.kill() for one in _model_processes(flapping)[:dead]])
    np.testing.assert_array_equal(found, undisturbed)
    _until(lambda: flapping.restarts > restarts)
    verifier.embed(pictures[:1])


@needs_triton
def test_F04_a_server_that_lies_about_ready_is_no_score_and_can_be_tried_again(
    tmp_path: Path, pictures: np.ndarray
) -> None:
    care, hasty = Care(triton.SLOW_S, watch_s=3600), Patience(answer_s=5, outage_s=1, pause_s=0.2)
    with triton.running_triton({"ires": builtin_package("ires")}, tmp_path, care) as served:
        victims = TritonVictims(served.server.endpoint, hasty)
        verifier = victims.open_verifier(builtin_package("ires"))
        for process in _model_processes(served.server):
            process.kill()
        _until(lambda: all(one.status() == psutil.STATUS_ZOMBIE for one in _model_processes(served.server)))
        with urllib.request.urlopen(f"{served.server.url}/v2/models/ires/ready", timeout=5) as response:  # noqa: S310
            assert response.status == 200  # the lie
        for ask in (lambda: verifier.embed(pictures[:3]), lambda: victims.open_verifier(builtin_package("ires"))):
            with pytest.raises(TransientError) as caught:
                ask()
            assert caught.value.code == "VICTIMS_UNAVAILABLE"


@needs_triton
def test_F04_a_server_that_comes_back_with_another_victim_is_refused(tmp_path: Path, pictures: np.ndarray) -> None:
    program = find_triton(os.environ, triton.FOLDER)
    with triton.running_triton({"ires": builtin_package("ires")}, tmp_path / "first") as served:
        ports = served.server.ports
        wire = Endpoint(served.server.endpoint.address)
        verifier = TritonVictims(wire, SHORT).open_verifier(builtin_package("ires"))
        verifier.embed(pictures[:3])
    triton.write_model_repository({"ires": builtin_package("irse")}, tmp_path / "other")
    with serving(tmp_path / "other", program, ports=ports):
        asks: list[Callable[[], Any]] = [
            lambda: verifier.embed(pictures[:3]),
            lambda: TritonVictims(wire, SHORT).open_verifier(builtin_package("ires")),
        ]
        for ask in asks:
            with pytest.raises(PlatformError) as caught:
                ask()
            assert caught.value.code == "VICTIM_DIFFERS"
        same_place = TritonVictims(wire, SHORT).open_verifier(builtin_package("irse"), "ires")
        assert same_place.embed(pictures[:3]).shape == (3, 128)


@needs_triton
@pytest.mark.parametrize("part", ["weights", "answers"])
def test_F04_a_repository_that_is_not_what_was_written_never_becomes_ready(tmp_path: Path, part: str) -> None:
    repository = tmp_path / "repository"
    triton.write_model_repository({"ires": builtin_package("ires")}, repository)
    (file,) = repository.glob("ires/*/model.onnx" if part == "weights" else "ires/warmup/answer.expected")
    data = bytearray(file.read_bytes())
    data[len(data) // 8 * 4 + 3] ^= 0x40  # the exponent of some number
    file.write_bytes(data)
    with (
        pytest.raises(PlatformError, match="ires") as caught,
        serving(repository, find_triton(os.environ, triton.FOLDER), care=Care(start_s=120)),
    ):
        pass
    assert caught.value.code == "TRITON_FAILED"


@needs_triton
def test_a_victim_that_a_server_does_not_have_is_refused_without_waiting(flapping: TritonServer) -> None:
    victims, started = TritonVictims(flapping.endpoint, SHORT), time.monotonic()
    with pytest.raises(PlatformError) as caught:
        victims.open_verifier(builtin_package("vgg"))
    assert caught.value.code == "VICTIM_NOT_SERVED"
    assert time.monotonic() - started < 10


def test_a_server_that_is_not_there_is_a_passing_fault() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(TransientError) as caught:
            TritonModel(TritonLink(Endpoint(address), Patience(1, 1, 0.2)), "ires", "0" * 64, 64)
    assert caught.value.code == "VICTIMS_UNAVAILABLE"
    assert time.monotonic() - started < 10


@needs_triton
def test_a_server_leaves_nothing_behind(tmp_path: Path) -> None:
    before = set(os.listdir("/dev/shm"))  # noqa: S108
    with triton.running_triton({"ires": builtin_package("ires")}, tmp_path) as served:
        family = [psutil.Process(served.server.pid), *psutil.Process(served.server.pid).children(recursive=True)]
        url = served.server.url
    assert not any(process.is_running() for process in family)
    assert not {name for name in set(os.listdir("/dev/shm")) - before if name.startswith("aisc-triton")}  # noqa: S108
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=2)  # noqa: S310
