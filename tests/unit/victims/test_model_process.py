"""A stranger's model: every rule by a file that breaks it, and the process that reads it by what it must not do."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from aisc.errors import PlatformError, TransientError
from aisc.submission.findings import RuleBrokenError
from aisc.submission.model_rules import MODEL_RULES
from aisc.victims import model_process
from aisc.victims.model_process import Goals, ProbeSettings, SubmittedModel
from aisc.victims.submitted_model import read_submitted

PEOPLE = 5
RNG = np.random.default_rng(5)
FGSM = ProbeSettings("fgsm", 1, 8.0, random_start=False)


def weights(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(RNG.normal(0, 0.01, shape).astype(np.float32), name)


def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], **attributes)


def model_of(
    nodes: list[onnx.NodeProto], constants: list[Any] = (), inputs: int = 1, opset: int = 17, **more: Any
) -> onnx.ModelProto:
    """Make a model whose nodes lead from `images` to `logits`."""
    taken = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 112, 112])
        for name in ["images", "more"][:inputs]
    ]
    given = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", taken, given, list(constants), **more)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


POOLED = [node("GlobalAveragePool", ["images"], "p"), node("Flatten", ["p"], "f")]


def honest(**more: Any) -> onnx.ModelProto:
    return model_of([*POOLED, node("MatMul", ["f", "w"], "logits")], [weights("w", 3, PEOPLE)], **more)


def outside() -> onnx.ModelProto:
    """Weights that are said to lie in a file of the machine that reads them."""
    made = honest()
    (tensor,) = made.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "../../../../../../etc/passwd", "length": "60"}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return made


def outside_in_a_node() -> onnx.ModelProto:
    made = outside()
    (tensor,) = made.graph.initializer
    made.graph.node.insert(0, node("Constant", [], "w", value=tensor))
    del made.graph.initializer[:]
    return made


def short_weights() -> onnx.ModelProto:
    made = honest()
    made.graph.initializer[0].dims[0] = 1 << 40
    return made


def branch() -> onnx.ModelProto:
    graph = honest().graph
    return model_of([node("If", ["images"], "logits", then_branch=graph, else_branch=graph)])


def sparse() -> onnx.ModelProto:
    one = helper.make_sparse_tensor(
        numpy_helper.from_array(np.ones(1, np.float32), "w"), numpy_helper.from_array(np.zeros(1, np.int64), "i"),
        [3, PEOPLE],
    )  # fmt: skip
    made = model_of([*POOLED, node("MatMul", ["f", "w"], "logits")])
    made.graph.sparse_initializer.append(one)
    return made


def foreign() -> onnx.ModelProto:
    made = model_of([node("Relu", ["images"], "logits", domain="com.example")])
    made.opset_import.append(helper.make_opsetid("com.example", 1))
    return made


def doubles() -> onnx.ModelProto:
    made = honest()
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    return made


HOSTILE = {
    "no model": (b"\x00" * 64, "MODEL_NOT_ONNX"),
    "nothing": (b"", "MODEL_NOT_ONNX"),
    "old": (honest(opset=12), "MODEL_NOT_ONNX"),
    "weights outside": (outside(), "MODEL_WEIGHTS_OUTSIDE"),
    "weights outside, in a node": (outside_in_a_node(), "MODEL_WEIGHTS_OUTSIDE"),
    "fewer weights than said": (short_weights(), "MODEL_NOT_ONNX"),
    "a graph in a node": (branch(), "MODEL_NOT_ONNX"),
    "sparse": (sparse(), "MODEL_NOT_ONNX"),
    "many nodes": (model_of([node("Relu", ["images"], f"r{k}") for k in range(4097)]), "MODEL_TOO_MANY_NODES"),
    "rounds": (model_of([node("Round", ["images"], "logits")]), "MODEL_OPERATOR"),
    "foreign operator": (foreign(), "MODEL_OPERATOR"),
    "an operator named \x1b[2J": (model_of([node("\x1b[2J<b>", ["images"], "logits")]), "MODEL_OPERATOR"),
    "two inputs": (honest(inputs=2), "MODEL_INPUT"),
    "no input": (honest(inputs=0), "MODEL_INPUT"),
    "doubles": (doubles(), "MODEL_INPUT"),
    "a value from nowhere": (model_of([node("Relu", ["nowhere"], "logits")]), "MODEL_INPUT"),
    "one picture alone": (
        model_of([node("Reshape", ["images", "s"], "r"), node("MatMul", ["r", "w"], "logits")],
                 [numpy_helper.from_array(np.array([1, 37632]), "s"), weights("w", 37632, PEOPLE)]), "MODEL_INPUT",
    ),
    "other people": (model_of([*POOLED, node("MatMul", ["f", "w"], "logits")], [weights("w", 3, 6)]), "MODEL_OUTPUT"),
    "no numbers": (
        model_of([*POOLED, node("MatMul", ["f", "w"], "m"), node("Sub", ["m", "big"], "s"),
                  node("Sqrt", ["s"], "logits")],
                 [weights("w", 3, PEOPLE), numpy_helper.from_array(np.array(1e9, np.float32), "big")]), "MODEL_OUTPUT",
    ),
    "blind": (
        model_of([node("Shape", ["images"], "s"), node("Gather", ["s", "z"], "n", axis=0),
                  node("Cast", ["n"], "k", to=1), node("Mul", ["k", "w"], "logits")],
                 [numpy_helper.from_array(np.array([[0], [0]]), "z"), weights("w", 1, PEOPLE)]),
        "MODEL_WITHOUT_GRADIENT",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_every_rule_is_broken_by_a_file_of_its_own(name: str) -> None:
    made, code = HOSTILE[name]
    raw = made if isinstance(made, bytes) else made.SerializeToString()
    with pytest.raises(RuleBrokenError) as caught:
        read_submitted(raw, PEOPLE)
    assert caught.value.rule.code == code
    assert caught.value.message.isprintable()
    assert "passwd" not in caught.value.message
    assert "\x1b" not in caught.value.message


def test_a_model_with_a_gradient_of_zero_is_read_and_found_out_by_its_probes() -> None:
    zero = numpy_helper.from_array(np.zeros((3, PEOPLE), np.float32), "w")
    with_zero = model_of([*POOLED, node("MatMul", ["f", "w"], "logits")], [zero])
    read_submitted(with_zero.SerializeToString(), PEOPLE)


def test_a_gradient_that_is_no_number_is_none() -> None:
    # Square roots of exactly 0: their gradient is infinite, times 0 no number.
    nodes = [
        *POOLED, node("MatMul", ["f", "w"], "m"), node("Sub", ["m", "m"], "z"), node("Sqrt", ["z"], "logits"),
    ]  # fmt: skip
    model = read_submitted(model_of(nodes, [weights("w", 3, PEOPLE)]).SerializeToString(), PEOPLE)
    images = torch.full((2, 3, 112, 112), 9.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(images).sum(), images)
    assert torch.isfinite(gradient).all()


@pytest.fixture
def submitted(tmp_path: Path) -> Any:
    """Write a model as a team does."""

    def write(model: onnx.ModelProto, memory_mib: int = 512) -> SubmittedModel:
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return SubmittedModel(path, "reid", PEOPLE, memory_mib, 1)

    return write


def test_the_process_answers_and_attacks_as_torch_does_here(submitted: Any) -> None:
    made = honest()
    pictures = RNG.integers(0, 256, (20, 112, 112, 3), dtype=np.uint8)
    matrix = numpy_helper.to_array(made.graph.initializer[0])
    logits = pictures.astype(np.float32).mean((1, 2)) @ matrix
    model = submitted(made)
    np.testing.assert_array_equal(model.answers(pictures, 60)[:, 0], logits.argmax(axis=1))
    people = np.arange(20) % PEOPLE
    # Of a softmax over W·mean the gradient is W·(p - onehot) in every pixel; one step goes 8 levels along its sign.
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    signs = np.sign((shares - np.eye(PEOPLE)[people]) @ matrix.T)[:, None, None]
    found = model.attacked(pictures, Goals(people, np.zeros((20, 1), np.int64)), FGSM, 60)
    np.testing.assert_array_equal(found, np.clip(pictures + 8 * signs, 0, 255))


def test_T07_a_model_that_takes_too_much_memory_is_refused(submitted: Any) -> None:
    grow = [
        node("Reshape", ["images", "column"], "c"), node("Reshape", ["images", "row"], "r"),
        node("MatMul", ["c", "r"], "big"), node("ReduceMean", ["big"], "m", axes=[2], keepdims=0),
        node("MatMul", ["m", "w"], "logits"),
    ]  # fmt: skip
    shapes = {"column": [0, -1, 1], "row": [0, 1, -1]}
    constants = [numpy_helper.from_array(np.array(shape), name) for name, shape in shapes.items()]
    with pytest.raises(RuleBrokenError) as caught:
        submitted(model_of(grow, [*constants, weights("w", 37632, PEOPLE)])).check()
    assert caught.value.rule.code == "MODEL_COST"


def test_T08_a_model_that_takes_too_long_is_refused(submitted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = [node("Conv", ["images", "k"], "c0", pads=[5, 5, 5, 5])]
    slow += [node("Conv", [f"c{i}", "l"], f"c{i + 1}", pads=[5, 5, 5, 5]) for i in range(400)]
    slow += [
        node("GlobalAveragePool", ["c400"], "p"),
        node("Flatten", ["p"], "f"),
        node("MatMul", ["f", "w"], "logits"),
    ]
    constants = [weights("k", 8, 3, 11, 11), weights("l", 8, 8, 11, 11), weights("w", 8, PEOPLE)]
    monkeypatch.setattr(model_process, "_START_SECONDS", 5.0)
    with pytest.raises(RuleBrokenError) as caught:
        submitted(model_of(slow, constants)).answers(np.zeros((256, 112, 112, 3), np.uint8), 1)
    assert caught.value.rule.code == "MODEL_COST"


SPY = """
import os, sys, socket, subprocess
from aisc.victims import model_worker as worker
def look(raw, outputs):
    tried = {}
    for name, act in {
        "read": lambda: open("/etc/passwd").read(), "write": lambda: open("/dev/shm/aisc-spy", "w"),
        "folder": lambda: os.listdir("/"), "program": lambda: subprocess.run(["/bin/true"]), "fork": os.fork,
        "network": lambda: socket.create_connection(("127.0.0.1", 9)), "signal": lambda: os.kill(os.getppid(), 0),
        "parent": lambda: os.open(f"/proc/{os.getppid()}/environ", 0), "more memory": lambda: bytearray(2 << 30),
    }.items():
        try:
            act()
            tried[name] = True
        except (OSError, MemoryError):
            pass
    raise worker.RuleBrokenError(worker_rule(), f"did {sorted(tried)} {sorted(os.environ)}")
def worker_rule():
    return RULES["MODEL_INPUT"]
from aisc.submission.model_rules import MODEL_RULES as RULES
whole = worker._warm_up
def warm():
    whole()
    worker.read_submitted = look
worker._warm_up = warm
sys.exit(worker.main(sys.argv[1]))
"""


def test_T12_T39_what_takes_the_process_over_reaches_nothing(
    submitted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work is replaced by a program that tries what a hostile file could make a faulty library do."""
    spy = tmp_path / "spy.py"
    spy.write_text(SPY)
    started = model_process.subprocess.run

    def run(words: list[str], **how: Any) -> Any:
        place = words.index("-m")
        return started([*words[:place], str(spy), *words[place + 2 :]], **how)

    monkeypatch.setattr(model_process.subprocess, "run", run)
    monkeypatch.setenv("AISC_LEDGER", "postgresql://secret")
    with pytest.raises(RuleBrokenError) as caught:
        submitted(honest()).check()
    assert caught.value.rule.code == "MODEL_INPUT", caught.value.message
    did, _, environment = caught.value.message.partition("] ")
    assert did == "did ["
    assert "AISC_LEDGER" not in environment


@pytest.mark.parametrize(
    ("status", "note", "code"),
    [
        (11, b"MODEL_INPUT\nIt fails.", "MODEL_INPUT"),
        (11, b"NO_SUCH_RULE\nHello.", "MODEL_COST"),
        (11, b"MODEL_INPUT\n\x1b[2J", "MODEL_COST"),
        (11, b"", "MODEL_COST"),
        (-9, b"MODEL_INPUT\nIt fails.", "MODEL_COST"),
        (0, b"more than was asked for", "MODEL_COST"),
    ],
)  # fmt: skip
def test_T41_T44_the_words_of_the_process_are_passed_on_only_where_they_are_ours(
    submitted: Any, monkeypatch: pytest.MonkeyPatch, status: int, note: bytes, code: str
) -> None:
    def run(job: str, place: str, threads: int, seconds: float) -> int:
        Path(place, model_process.RESULT).write_bytes(note)
        return status

    monkeypatch.setattr(model_process, "_run", run)
    model = submitted(honest())
    with pytest.raises(RuleBrokenError) as caught:
        model.check()
    assert caught.value.rule.code == code
    with pytest.raises(RuleBrokenError) as caught:
        model.answers(np.zeros((1, 112, 112, 3), np.uint8), 1)
    assert caught.value.rule is MODEL_RULES["MODEL_COST"], "it has seen pictures: it may not speak"


def test_a_link_in_the_place_of_the_result_is_not_followed(submitted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(job: str, place: str, threads: int, seconds: float) -> int:
        os.symlink("/etc/hostname", Path(place, model_process.RESULT))
        return 11

    monkeypatch.setattr(model_process, "_run", run)
    with pytest.raises(RuleBrokenError) as caught:
        submitted(honest()).check()
    assert caught.value.rule.code == "MODEL_COST"


def test_a_machine_that_is_too_busy_is_no_participants_fault(submitted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_process, "_PATIENCE", 1e-6)
    with pytest.raises(TransientError) as caught:
        submitted(honest()).check()
    assert caught.value.code == "MODEL_READER"


def test_a_reader_that_does_not_start_is_no_participants_fault(submitted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_process, "_WORKER", "aisc.victims.no_such_module")
    with pytest.raises(PlatformError) as caught:
        submitted(honest()).check()
    assert caught.value.code == "MODEL_READER"
