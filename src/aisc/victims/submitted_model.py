"""A model that a stranger hands over as ONNX, turned into something that gradients pass through, or refused by rule.

Nothing here protects the process that does it: a hostile file is only ever opened in a process of its own
(:mod:`aisc.victims.model_process`). The rules keep what is opened simple: one graph, weights inside, known operators.
"""

import re
from collections.abc import Iterator
from typing import Final

import onnx
import torch
from torch import Tensor, nn

from aisc.submission.findings import RuleBrokenError
from aisc.submission.model_rules import LEAST_OPSET, MODEL_RULES, MOST_NODES
from aisc.victims.onnx_gradients import GraphModule, unknown_operators

_SHAPE: Final = (3, 112, 112)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,39}")
_SEED: Final = 7


def read_submitted(raw: bytes, outputs: int) -> nn.Module:
    """Check a model and make it differentiable.

    Args:
        raw: The file.
        outputs: Logits that it must give.

    Returns:
        Maps float32 RGB `(n, 3, 112, 112)` in [0, 255] to logits `(n, outputs)`; a gradient that is no number is 0.

    Raises:
        RuleBrokenError: one of ``MODEL_RULES``.
    """
    try:
        model = onnx.load_model_from_string(raw)
    except Exception as error:  # protobuf raises its own types
        raise _broken("MODEL_NOT_ONNX", "The file cannot be read as ONNX.") from error
    _check_graph(model)
    try:
        graph = GraphModule(model).eval()
    except MemoryError:
        raise
    except Exception as error:  # whatever a hostile graph provokes
        raise _broken("MODEL_NOT_ONNX", f"Its constants cannot be read ({type(error).__name__}).") from error
    _try_out(graph, outputs)
    return _Tamed(graph)


class _Tamed(nn.Module):
    """A model whose gradient is always a number: where it is none, a probe finds nothing."""

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, images: Tensor) -> Tensor:
        if images.requires_grad:
            images.register_hook(lambda gradient: torch.nan_to_num(gradient, 0.0))  # type: ignore[no-untyped-call]
        logits: Tensor = self.graph(images)
        return logits


def _check_graph(model: onnx.ModelProto) -> None:
    graph = model.graph
    opsets = {one.domain: one.version for one in model.opset_import}
    if opsets.get("", opsets.get("ai.onnx", 0)) < LEAST_OPSET or not graph.node or not graph.output:
        raise _broken("MODEL_NOT_ONNX", f"It is no graph of operator set {LEAST_OPSET} or newer.")
    if len(graph.node) > MOST_NODES:
        raise _broken("MODEL_TOO_MANY_NODES", f"The graph has {len(graph.node)} nodes; {MOST_NODES} are allowed.")
    if model.functions or graph.sparse_initializer or any(_holds_more(node) for node in graph.node):
        raise _broken("MODEL_NOT_ONNX", "It holds functions, sparse weights, or graphs inside of nodes.")
    unknown = unknown_operators(model)
    foreign = [node.op_type for node in graph.node if node.domain not in ("", "ai.onnx")]
    if unknown or foreign:
        # The name is a stranger's text: it is repeated only where it looks like an operator's.
        names = sorted({name if _NAME.fullmatch(name) else "one without a plain name" for name in unknown + foreign})
        raise _broken("MODEL_OPERATOR", f"The graph uses {', '.join(names[:8])}.")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data for tensor in _tensors(graph)):
        raise _broken("MODEL_WEIGHTS_OUTSIDE", "Some of its weights lie in another file.")
    constants = {one.name for one in graph.initializer}
    inputs = [one for one in graph.input if one.name not in constants]
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise _broken("MODEL_INPUT", f"The graph has {len(inputs)} inputs, or one that is not float32.")


def _holds_more(node: onnx.NodeProto) -> bool:
    return any(one.HasField("g") or one.graphs or one.HasField("sparse_tensor") for one in node.attribute)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for one in node.attribute:
            yield one.t
            yield from one.tensors


def _try_out(graph: nn.Module, outputs: int) -> None:
    """Ask about noise, two pictures and three: nothing is learnt from it but whether the model answers at all."""
    for count in (2, 3):
        noise = torch.randint(0, 256, (count, *_SHAPE), generator=torch.Generator().manual_seed(_SEED))
        images = noise.float().requires_grad_()
        try:
            logits = graph(images)
            found = isinstance(logits, Tensor) and logits.dtype == torch.float32 and logits.shape == (count, outputs)
            finite = found and bool(torch.isfinite(logits).all())
        except MemoryError:
            raise
        except Exception as error:  # whatever a hostile graph provokes
            if _is_memory(error):
                raise MemoryError from error
            raise _broken("MODEL_INPUT", f"It fails on {count} pictures ({type(error).__name__}).") from error
        if not finite:
            raise _broken("MODEL_OUTPUT", f"It does not answer {count} pictures with {outputs} finite logits each.")
        if not logits.requires_grad or torch.autograd.grad(logits.sum(), images, allow_unused=True)[0] is None:
            raise _broken("MODEL_WITHOUT_GRADIENT", "Its logits do not depend on the pictures.")


def _is_memory(error: Exception) -> bool:
    """Tell whether torch says in its way that there is no memory left."""
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)


def _broken(code: str, message: str) -> RuleBrokenError:
    return RuleBrokenError(MODEL_RULES[code], message)
