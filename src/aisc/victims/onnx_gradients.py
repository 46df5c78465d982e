"""Gradients through an ONNX model: its graph walked in torch, operator by operator, for white-box probes.

Only what image classifiers are made of is known; a graph with anything else is refused by the operator's name. Each
operator follows the ONNX specification, and a model is taken only when its answers to a canary equal onnxruntime's.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

from aisc.errors import UsageError
from aisc.victims.verifier import invalid_weights, onnx_forward

_TOLERANCE: Final = 1e-3
_CANARY: Final = (2, 3, 112, 112)

Attributes = Mapping[str, Any]


class GraphModule(nn.Module):
    """An ONNX graph with one input, run in torch."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Take the graph's nodes and constants over."""
        super().__init__()
        graph = model.graph
        constants = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer}
        self._constants = constants
        self._nodes = [
            (node.op_type, list(node.input), list(node.output), {a.name: _attribute(a) for a in node.attribute})
            for node in graph.node
        ]
        (self._input,) = (one.name for one in graph.input if one.name not in constants)
        self._output = graph.output[0].name

    def forward(self, images: Tensor) -> Tensor:
        """Give the graph's first output."""
        values: dict[str, Tensor | None] = {"": None, self._input: images, **self._constants}
        for kind, inputs, outputs, attributes in self._nodes:
            values[outputs[0]] = _OPERATORS[kind]([values[name] for name in inputs], attributes)
        result = values[self._output]
        assert result is not None  # noqa: S101 - outputs are never the empty name
        return result


def load_onnx(weights: bytes, origin: Path) -> nn.Module:
    """Load an ONNX model so that its output can be differentiated with respect to its input.

    Args:
        weights: The file's bytes.
        origin: For messages.

    Raises:
        UsageError: VICTIM_WEIGHTS_INVALID, or VICTIM_NO_GRADIENTS naming what the graph asks for.
    """
    expected = onnx_forward(weights, origin)
    try:
        model = onnx.load_model_from_string(weights)
    except Exception as error:  # protobuf raises its own types
        raise invalid_weights(origin, "ONNX", error) from error
    unknown = sorted({node.op_type for node in model.graph.node} - _OPERATORS.keys())
    if unknown:
        raise _no_gradients(origin, f"it uses {', '.join(unknown)[:200]}, for which there are no gradients here")
    noise = np.random.default_rng(7).integers(0, 256, _CANARY).astype(np.float32)
    try:
        module = GraphModule(model).eval()
        with torch.no_grad():
            found = module(torch.from_numpy(noise)).numpy()
        wanted = expected(noise)
    except Exception as error:  # whatever a stranger's graph provokes in either runtime
        raise _no_gradients(origin, f"its graph cannot be walked ({type(error).__name__})") from error
    if found.shape != wanted.shape or not np.allclose(found, wanted, rtol=_TOLERANCE, atol=_TOLERANCE):
        raise _no_gradients(origin, "torch and onnxruntime do not agree about it")
    return module


def _no_gradients(origin: Path, why: str) -> UsageError:
    return UsageError("VICTIM_NO_GRADIENTS", f"{origin}: {why}.", "Give the model as TorchScript.")


def _attribute(attribute: onnx.AttributeProto) -> Any:  # noqa: ANN401 - an attribute is of any type
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return torch.from_numpy(numpy_helper.to_array(value).copy())
    return value.decode() if isinstance(value, bytes) else value


Operator = Callable[[list[Any], Attributes], Tensor]


def _padded(x: Tensor, attributes: Attributes, fill: float = 0.0) -> Tensor:
    """Pad the two image axes as `pads` says: top, left, bottom, right."""
    if attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or attributes.get("ceil_mode", 0):
        raise ValueError("automatic padding and ceiling are not known")
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    return F.pad(x, (left, right, top, bottom), value=fill) if any((top, left, bottom, right)) else x


def _convolve(x: list[Any], a: Attributes) -> Tensor:
    bias = x[2] if len(x) > 2 else None
    return F.conv2d(
        _padded(x[0], a), x[1], bias, a.get("strides", [1, 1]), 0, a.get("dilations", [1, 1]), a.get("group", 1)
    )


def _average(x: list[Any], a: Attributes) -> Tensor:
    kernel, strides = a["kernel_shape"], a.get("strides", [1, 1])
    mean = F.avg_pool2d(_padded(x[0], a), kernel, strides)
    if a.get("count_include_pad", 0) or not any(a.get("pads", [0])):
        return mean
    return mean / F.avg_pool2d(_padded(torch.ones_like(x[0]), a), kernel, strides)


def _gemm(x: list[Any], a: Attributes) -> Tensor:
    first = x[0].T if a.get("transA", 0) else x[0]
    second = x[1].T if a.get("transB", 0) else x[1]
    product: Tensor = a.get("alpha", 1.0) * (first @ second)
    return product + a.get("beta", 1.0) * x[2] if len(x) > 2 and x[2] is not None else product


def _normalise(x: list[Any], a: Attributes) -> Tensor:
    return F.batch_norm(x[0], x[3], x[4], x[1], x[2], training=False, eps=a.get("epsilon", 1e-5))


def _reshape(x: list[Any], a: Attributes) -> Tensor:
    shape = [x[0].shape[k] if size == 0 else size for k, size in enumerate(x[1].tolist())]
    result: Tensor = x[0].reshape(shape)
    return result


def _clip(x: list[Any], a: Attributes) -> Tensor:
    low = x[1] if len(x) > 1 else a.get("min")
    high = x[2] if len(x) > 2 else a.get("max")
    return torch.clamp(x[0], None if low is None else float(low), None if high is None else float(high))


_OPERATORS: Final[Mapping[str, Operator]] = {
    "Add": lambda x, a: x[0] + x[1],
    "AveragePool": _average,
    "BatchNormalization": _normalise,
    "Clip": _clip,
    "Concat": lambda x, a: torch.cat(x, dim=a["axis"]),
    "Constant": lambda x, a: a["value"] if "value" in a else torch.tensor(a.get("value_float", a.get("value_int"))),
    "Conv": _convolve,
    "Div": lambda x, a: x[0] / x[1],
    "Dropout": lambda x, a: x[0],
    "Flatten": lambda x, a: x[0].flatten(a.get("axis", 1)),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x, a: x[0].mean((2, 3), keepdim=True),
    "Identity": lambda x, a: x[0],
    "LeakyRelu": lambda x, a: F.leaky_relu(x[0], a.get("alpha", 0.01)),
    "MatMul": lambda x, a: x[0] @ x[1],
    "MaxPool": lambda x, a: F.max_pool2d(
        _padded(x[0], a, -torch.inf), a["kernel_shape"], a.get("strides", [1, 1]), 0, a.get("dilations", [1, 1])
    ),
    "Mul": lambda x, a: x[0] * x[1],
    "Relu": lambda x, a: torch.relu(x[0]),
    "Reshape": _reshape,
    "Sigmoid": lambda x, a: torch.sigmoid(x[0]),
    "Sub": lambda x, a: x[0] - x[1],
    "Tanh": lambda x, a: torch.tanh(x[0]),
    "Transpose": lambda x, a: x[0].permute(a["perm"]),
}
