"""Gradients of ONNX graphs: each operator against onnxruntime, and central differences as the oracle of gradients."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from aisc.errors import UsageError
from aisc.victims.onnx_gradients import load_onnx
from aisc.victims.onnx_operators import OPERATORS as KNOWN

RNG = np.random.default_rng(1)


def constant(name, *shape: int):
    return numpy_helper.from_array(RNG.normal(0, 0.02, shape).astype(np.float32), name)


def numbers(name, values, kind=np.int64):
    return numpy_helper.from_array(np.array(values, kind), name)


def graph(nodes, initializers=()):
    """Make a model from nodes that lead from `images` to `out`."""
    made = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 112, 112])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)], list(initializers),
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def node(kind, inputs, output, **attributes: Any):
    return helper.make_node(kind, inputs, [output], **attributes)


OPERATORS = {
    "Conv": ([node("Conv", ["images", "w", "b"], "out", pads=[1, 0, 2, 1], strides=[2, 1], group=3)],
             [constant("w", 6, 1, 3, 3), constant("b", 6)]),
    "Conv even": ([node("Conv", ["images", "w"], "out", pads=[2, 1, 2, 1])], [constant("w", 2, 3, 3, 3)]),
    "Conv dilated": ([node("Conv", ["images", "w"], "out", dilations=[2, 2])], [constant("w", 2, 3, 3, 3)]),
    "MaxPool": ([node("MaxPool", ["images"], "out", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])], []),
    "MaxPool uneven": ([node("MaxPool", ["images"], "out", kernel_shape=[3, 3], strides=[2, 2],
                             pads=[0, 1, 2, 0])], []),
    "AveragePool even": ([node("AveragePool", ["images"], "out", kernel_shape=[3, 3], strides=[2, 2],
                               pads=[1, 1, 1, 1])], []),
    "AveragePool": ([node("AveragePool", ["images"], "out", kernel_shape=[3, 3], pads=[1, 1, 0, 0])], []),
    "AveragePool padded": ([node("AveragePool", ["images"], "out", kernel_shape=[3, 3], strides=[2, 2],
                                 pads=[1, 1, 1, 1], count_include_pad=1)], []),
    "BatchNormalization": ([node("BatchNormalization", ["images", "s", "b", "m", "v"], "out", epsilon=0.1)],
                           [constant("s", 3), constant("b", 3), constant("m", 3), numbers("v", [1, 2, 3], np.float32)]),
    "Gemm": ([node("Flatten", ["images"], "f"),
              node("Gemm", ["f", "w", "b"], "out", transB=1, alpha=0.5, beta=2.0)],
             [constant("w", 4, 37632), constant("b", 4)]),
    "MatMul and Add": ([node("MatMul", ["images", "w"], "p"), node("Add", ["p", "b"], "out")],
                       [constant("w", 112, 5), constant("b", 5)]),
    "Sub, Mul and Div": ([node("Sub", ["images", "c"], "d"), node("Div", ["d", "c"], "e"),
                          node("Mul", ["e", "e"], "out")], [numbers("c", [128.0], np.float32)]),
    "Clip": ([node("Clip", ["images", "lo", "hi"], "out")],
             [numbers("lo", 50.0, np.float32), numbers("hi", 200.0, np.float32)]),
    "Clip open": ([node("Clip", ["images", "", "hi"], "out")], [numbers("hi", 200.0, np.float32)]),
    "Reshape": ([node("Reshape", ["images", "s"], "out")], [numbers("s", [0, -1, 56])]),
    "Transpose and Concat": ([node("Transpose", ["images"], "t", perm=[0, 1, 3, 2]),
                              node("Concat", ["images", "t"], "out", axis=1)], []),
    "Activations": ([node("Constant", [], "c", value=numbers("v", [0.01], np.float32)),
                     node("Mul", ["images", "c"], "a"), node("Tanh", ["a"], "b"), node("Sigmoid", ["b"], "d"),
                     node("LeakyRelu", ["d"], "e", alpha=0.2), node("Relu", ["e"], "f"), node("Identity", ["f"], "g"),
                     node("Dropout", ["g"], "h"), node("GlobalAveragePool", ["h"], "out")], []),
    "ConvTranspose": ([node("ConvTranspose", ["images", "w", "b"], "out", strides=[2, 2], pads=[1, 1, 1, 1],
                            output_padding=[1, 1])], [constant("w", 3, 2, 3, 3), constant("b", 2)]),
    "Pad": ([node("Pad", ["images", "p", "v"], "out")],
            [numbers("p", [0, 0, 1, 2, 0, 0, 3, 4]), numbers("v", 7.0, np.float32)]),
    "Pad mirrored": ([node("Pad", ["images", "p"], "out", mode="reflect")], [numbers("p", [0, 0, 1, 2, 0, 0, 3, 4])]),
    "Pad repeated": ([node("Pad", ["images", "p"], "out", mode="edge")], [numbers("p", [0, 0, 1, 2, 0, 0, 3, 4])]),
    "ReduceMean": ([node("ReduceMean", ["images"], "out", axes=[2, 3], keepdims=0)], []),
    "ReduceSum": ([node("ReduceSum", ["images", "a"], "out", keepdims=1)], [numbers("a", [-1])]),
    "Activations more": ([node("Sub", ["images", "c"], "d"), node("Div", ["d", "c"], "a"), node("Elu", ["a"], "b"),
                          node("HardSigmoid", ["a"], "e", alpha=0.3), node("HardSwish", ["a"], "f"),
                          node("Softplus", ["a"], "g"), node("PRelu", ["a", "s"], "h"), node("Erf", ["a"], "i"),
                          node("Concat", ["b", "e", "f", "g", "h", "i"], "out", axis=1)],
                         [numbers("c", 100.0, np.float32), numbers("s", [[[0.1]], [[0.2]], [[0.3]]], np.float32)]),
    "Arithmetic": ([node("Div", ["images", "c"], "a"), node("Pow", ["a", "two"], "b"), node("Sqrt", ["b"], "d"),
                    node("Exp", ["a"], "e"), node("Neg", ["e"], "f"), node("Abs", ["f"], "g"),
                    node("Concat", ["b", "d", "e", "f", "g"], "out", axis=1)],
                   [numbers("c", 100.0, np.float32), numbers("two", 2.0, np.float32)]),
    "Softmax": ([node("Div", ["images", "c"], "a"), node("Softmax", ["a"], "out", axis=1)],
                [numbers("c", 100.0, np.float32)]),
    "LayerNormalization": ([node("LayerNormalization", ["images", "s", "b"], "out", axis=-1, epsilon=0.1)],
                           [constant("s", 112), constant("b", 112)]),
    "Slice": ([node("Slice", ["images", "s", "e", "a", "t"], "out")],
              [numbers("s", [5, -20]), numbers("e", [100, 2**63 - 1]), numbers("a", [2, -1]), numbers("t", [3, 1])]),
    "Squeeze and Unsqueeze": ([node("Unsqueeze", ["images", "u"], "a"), node("Squeeze", ["a", "q"], "out")],
                              [numbers("u", [0, 5]), numbers("q", [5])]),
    "Gather": ([node("Gather", ["images", "i"], "out", axis=2)], [numbers("i", [[3, -1], [7, 0]])]),
    "Flatten by Shape": ([node("Shape", ["images"], "s"), node("Gather", ["s", "zero"], "n", axis=0),
                          node("Unsqueeze", ["n", "zeros"], "u"), node("Concat", ["u", "rest"], "t", axis=0),
                          node("Cast", ["t"], "k", to=7), node("Reshape", ["images", "k"], "out")],
                         [numbers("zero", 0), numbers("zeros", [0]), numbers("rest", [-1])]),
    "Resize nearest": ([node("Resize", ["images", "", "s"], "out", mode="nearest",
                             coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
                       [numbers("s", [1, 1, 2, 2], np.float32)]),
    "Resize linear": ([node("Resize", ["images", "", "s"], "out", mode="linear")],
                      [numbers("s", [1, 1, 0.5, 2.25], np.float32)]),
    "Resize aligned": ([node("Resize", ["images", "", "s"], "out", mode="linear",
                             coordinate_transformation_mode="align_corners")],
                       [numbers("s", [1, 1, 0.5, 2], np.float32)]),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_answers_as_onnxruntime_does(name):
    model = graph(*OPERATORS[name])
    images = np.random.default_rng(3).integers(0, 256, (1, 3, 112, 112)).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(model).run(None, {"images": images})
    found = load_onnx(model, Path("model.onnx"))(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_every_known_operator_is_tested_above_and_told_to_participants():
    tested = {one.op_type for nodes, _ in OPERATORS.values() for one in nodes}
    assert tested == set(KNOWN)
    page = Path(__file__).parents[3] / "docs" / "formats" / "safair-defence.md"
    paragraphs = page.read_text(encoding="utf-8").split("\n\n")
    assert any(paragraph.split() == sorted(KNOWN) for paragraph in paragraphs)


def test_gradients_equal_central_differences_of_onnxruntime():
    nodes = [
        node("Conv", ["images", "w"], "c", strides=[8, 8]), node("Tanh", ["c"], "t"), node("Flatten", ["t"], "f"),
        node("Gemm", ["f", "g"], "out"),
    ]  # fmt: skip
    model = graph(nodes, [constant("w", 4, 3, 8, 8), constant("g", 784, 1)])
    session = onnxruntime.InferenceSession(model)
    images = np.random.default_rng(3).normal(0, 1, (1, 3, 112, 112)).astype(np.float32)
    tensor = torch.from_numpy(images.copy()).requires_grad_()
    load_onnx(model, Path("model.onnx"))(tensor).sum().backward()
    for channel, row, column in [(0, 5, 9), (1, 50, 60), (2, 111, 111)]:
        outputs = []
        for change in (0.5, -0.5):
            moved = images.copy()
            moved[0, channel, row, column] += change
            outputs.append(float(session.run(None, {"images": moved})[0].sum()))
        assert float(tensor.grad[0, channel, row, column]) == pytest.approx(outputs[0] - outputs[1], rel=0.05, abs=1e-5)


@pytest.mark.parametrize(
    ("model", "code", "what"),
    [
        (graph([node("Floor", ["images"], "out")]), "VICTIM_NO_GRADIENTS", "Floor"),
        (graph([node("MaxPool", ["images"], "out", kernel_shape=[3, 3], auto_pad="SAME_UPPER")]),
         "VICTIM_NO_GRADIENTS", "walked"),
        (graph([node("Cast", ["images"], "c", to=7), node("Cast", ["c"], "out", to=1)]),
         "VICTIM_NO_GRADIENTS", "walked"),
        (graph([node("Resize", ["images", "", "", "s"], "out", mode="cubic")], [numbers("s", [1, 3, 56, 56])]),
         "VICTIM_NO_GRADIENTS", "walked"),
        (b"no model", "VICTIM_WEIGHTS_INVALID", "ONNX"),
    ],
    ids=["operator", "setting", "cut to whole numbers", "cubic", "no model"],
)  # fmt: skip
def test_what_cannot_be_walked_is_refused_by_name(model, code, what):
    with pytest.raises(UsageError, match=what) as caught:
        load_onnx(model, Path("model.onnx"))
    assert caught.value.code == code
    assert caught.value.remedy
