"""Gradients through an ONNX model: its graph walked in torch, operator by operator, for white-box probes.

Only what image classifiers are made of is known; a graph with anything else is refused by the operator's name. An
organizer's model is taken only when its answers to a canary equal onnxruntime's; a stranger's never comes near that
library and is held to what its owner's program answers (:mod:`aisc.victims.submitted_model`).
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from aisc.errors import UsageError
from aisc.victims.onnx_operators import OPERATORS
from aisc.victims.verifier import invalid_weights, onnx_forward

_TOLERANCE: Final = 1e-3
_CANARY: Final = (2, 3, 112, 112)


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
            values[outputs[0]] = OPERATORS[kind]([values[name] for name in inputs], attributes)
        result = values[self._output]
        assert result is not None  # noqa: S101 - outputs are never the empty name
        return result


def unknown_operators(model: onnx.ModelProto) -> list[str]:
    """List the operators without gradients here, each once, in alphabetical order."""
    return sorted({node.op_type for node in model.graph.node} - OPERATORS.keys())


def load_onnx(weights: bytes, origin: Path) -> nn.Module:
    """Load an organizer's ONNX model so that its output can be differentiated with respect to its input.

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
    unknown = unknown_operators(model)
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
