"""The ONNX operators that image classifiers are made of, in torch: each follows the ONNX specification.

Steps without a gradient (Round, Floor, Sign, ArgMax, comparisons) are left out on purpose: behind one of them a probe
would find nothing, and a model's owner learns that from the operator's name. Where versions of an operator differ in
where an argument stands, among the attributes or among the inputs, both are read.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

Attributes = Mapping[str, Any]
Operator = Callable[[list[Any], Attributes], Tensor]


def _padded(x: Tensor, attributes: Attributes, fill: float = 0.0) -> tuple[Tensor, tuple[int, int]]:
    """Pad the two image axes as `pads` says, top, left, bottom, right; where opposite sides are equal, torch may.

    Returns:
        The images, and by how much torch has to pad them still, above and below, left and right.
    """
    if attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or attributes.get("ceil_mode", 0):
        raise ValueError("automatic padding and ceiling are not known")
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    if (top, left) == (bottom, right):
        return x, (top, left)
    return F.pad(x, (left, right, top, bottom), value=fill), (0, 0)


def _input(x: list[Any], place: int) -> Any:  # noqa: ANN401 - a tensor, or nothing
    return x[place] if len(x) > place else None


def _numbers(x: list[Any], place: int, attributes: Attributes, name: str) -> list[int] | None:
    """Give whole numbers that newer versions take as an input and older ones as an attribute."""
    given = _input(x, place)
    if given is not None:
        return [int(number) for number in given.tolist()]
    return list(attributes[name]) if name in attributes else None


def _convolve(x: list[Any], a: Attributes) -> Tensor:
    images, pads = _padded(x[0], a)
    bias = _input(x, 2)
    return F.conv2d(images, x[1], bias, a.get("strides", [1, 1]), pads, a.get("dilations", [1, 1]), a.get("group", 1))


def _convolve_back(x: list[Any], a: Attributes) -> Tensor:
    top, left, bottom, right = a.get("pads", [0, 0, 0, 0])
    if (top, left) != (bottom, right) or "output_shape" in a or a.get("auto_pad", "NOTSET") != "NOTSET":
        raise ValueError("only equal padding is known")
    return F.conv_transpose2d(
        x[0], x[1], _input(x, 2), a.get("strides", [1, 1]), (top, left), a.get("output_padding", [0, 0]),
        a.get("group", 1), a.get("dilations", [1, 1]),
    )  # fmt: skip


def _average(x: list[Any], a: Attributes) -> Tensor:
    kernel, strides, counted = a["kernel_shape"], a.get("strides", [1, 1]), bool(a.get("count_include_pad", 0))
    images, pads = _padded(x[0], a)
    mean = F.avg_pool2d(images, kernel, strides, pads, count_include_pad=counted)
    if counted or images is x[0]:
        return mean
    return mean / F.avg_pool2d(_padded(torch.ones_like(x[0]), a)[0], kernel, strides)


def _largest(x: list[Any], a: Attributes) -> Tensor:
    images, pads = _padded(x[0], a, -torch.inf)
    return F.max_pool2d(images, a["kernel_shape"], a.get("strides", [1, 1]), pads, a.get("dilations", [1, 1]))


def _gemm(x: list[Any], a: Attributes) -> Tensor:
    first = x[0].T if a.get("transA", 0) else x[0]
    second = x[1].T if a.get("transB", 0) else x[1]
    product: Tensor = a.get("alpha", 1.0) * (first @ second)
    return product + a.get("beta", 1.0) * x[2] if len(x) > 2 and x[2] is not None else product


def _normalise(x: list[Any], a: Attributes) -> Tensor:
    return F.batch_norm(x[0], x[3], x[4], x[1], x[2], training=False, eps=a.get("epsilon", 1e-5))


def _normalise_layer(x: list[Any], a: Attributes) -> Tensor:
    shape = list(x[0].shape)[a.get("axis", -1) :]
    return F.layer_norm(x[0], shape, x[1], _input(x, 2), a.get("epsilon", 1e-5))


def _reshape(x: list[Any], a: Attributes) -> Tensor:
    if a.get("allowzero", 0):
        raise ValueError("axes of length 0 are not known")
    shape = [x[0].shape[k] if size == 0 else size for k, size in enumerate(x[1].tolist())]
    result: Tensor = x[0].reshape(shape)
    return result


def _clip(x: list[Any], a: Attributes) -> Tensor:
    low = x[1] if len(x) > 1 else a.get("min")
    high = x[2] if len(x) > 2 else a.get("max")
    return torch.clamp(x[0], None if low is None else float(low), None if high is None else float(high))


def _pad(x: list[Any], a: Attributes) -> Tensor:
    pads = _numbers(x, 1, a, "pads") or []
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}[a.get("mode", "constant")]
    if _input(x, 3) is not None or len(pads) != 2 * x[0].ndim:
        raise ValueError("pads are known for all axes alone")
    # ONNX lists all beginnings, then all ends; torch pairs, the last axis first.
    pairs = [(pads[axis], pads[axis + x[0].ndim]) for axis in range(x[0].ndim)]
    flat = [number for pair in reversed(pairs) for number in pair]
    fill = _input(x, 2) if _input(x, 2) is not None else a.get("value", 0.0)
    if mode == "constant":
        return F.pad(x[0], flat, value=float(fill))
    if any(flat[4:]):
        raise ValueError("only the two image axes are mirrored")
    return F.pad(x[0], flat[:4], mode=mode)


def _reduced(reduce: Callable[..., Tensor]) -> Operator:
    def operator(x: list[Any], a: Attributes) -> Tensor:
        axes = _numbers(x, 1, a, "axes")
        if axes is None and a.get("noop_with_empty_axes", 0):
            return _same(x, a)
        return reduce(x[0], axes or list(range(x[0].ndim)), keepdim=bool(a.get("keepdims", 1)))

    return operator


def _unsqueeze(x: list[Any], a: Attributes) -> Tensor:
    axes = _numbers(x, 1, a, "axes") or []
    result: Tensor = x[0]
    for axis in sorted(axis % (x[0].ndim + len(axes)) for axis in axes):
        result = result.unsqueeze(axis)
    return result


def _squeeze(x: list[Any], a: Attributes) -> Tensor:
    axes = _numbers(x, 1, a, "axes")
    result: Tensor = x[0].squeeze() if axes is None else x[0].squeeze(tuple(axes))
    return result


def _slice(x: list[Any], a: Attributes) -> Tensor:
    starts, ends = _numbers(x, 1, a, "starts") or [], _numbers(x, 2, a, "ends") or []
    axes = _numbers(x, 3, a, "axes") or list(range(len(starts)))
    steps = _numbers(x, 4, a, "steps") or [1] * len(starts)
    whole = [slice(None)] * x[0].ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        whole[axis] = slice(start, end, step)  # torch refuses steps that are not above 0
    result: Tensor = x[0][tuple(whole)]
    return result


def _gather(x: list[Any], a: Attributes) -> Tensor:
    axis, ids = a.get("axis", 0), x[1].long()
    ids = torch.where(ids < 0, ids + x[0].shape[axis], ids)
    picked: Tensor = x[0].index_select(axis, ids.reshape(-1))
    kept = list(x[0].shape)
    axis %= x[0].ndim
    return picked.reshape(kept[:axis] + list(ids.shape) + kept[axis + 1 :])


def _cast(x: list[Any], a: Attributes) -> Tensor:
    kinds = {1: torch.float32, 6: torch.int32, 7: torch.int64}
    if x[0].is_floating_point() and a["to"] != 1:
        raise ValueError("a number cut to a whole one has no gradient")
    result: Tensor = x[0].to(kinds[a["to"]])
    return result


def _resize(x: list[Any], a: Attributes) -> Tensor:
    """Enlarge or shrink images in the two ways that torch writes: repeated pixels, or straight lines between them."""
    mode, place = a.get("mode", "nearest"), a.get("coordinate_transformation_mode", "half_pixel")
    shape = [int(n) for n in x[3].tolist()] if _input(x, 3) is not None else None
    if shape is None:
        scales = x[2].tolist()
        shape = [int(side * scale) for side, scale in zip(x[0].shape, scales, strict=True)]
    if shape[:2] != list(x[0].shape[:2]):
        raise ValueError("only the two image axes are resized")
    if (mode, place, a.get("nearest_mode")) == ("nearest", "asymmetric", "floor"):
        return F.interpolate(x[0], shape[2:], mode="nearest")
    if mode == "linear" and place in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        return F.interpolate(x[0], shape[2:], mode="bilinear", align_corners=place == "align_corners")
    raise ValueError("this way of resizing is not known")


def _constant(x: list[Any], a: Attributes) -> Tensor:
    if "value" in a:
        value: Tensor = a["value"]
        return value
    return torch.tensor(
        next(a[name] for name in ("value_float", "value_int", "value_floats", "value_ints") if name in a)
    )


def _same(x: list[Any], a: Attributes) -> Tensor:
    result: Tensor = x[0]
    return result


OPERATORS: Final[Mapping[str, Operator]] = {
    "Abs": lambda x, a: torch.abs(x[0]),
    "Add": lambda x, a: x[0] + x[1],
    "AveragePool": _average,
    "BatchNormalization": _normalise,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda x, a: torch.cat(x, dim=a["axis"]),
    "Constant": _constant,
    "Conv": _convolve,
    "ConvTranspose": _convolve_back,
    "Div": lambda x, a: x[0] / x[1] if x[0].is_floating_point() else torch.div(x[0], x[1], rounding_mode="trunc"),
    "Dropout": _same,
    "Elu": lambda x, a: F.elu(x[0], a.get("alpha", 1.0)),
    "Erf": lambda x, a: torch.erf(x[0]),
    "Exp": lambda x, a: torch.exp(x[0]),
    "Flatten": lambda x, a: x[0].flatten(a.get("axis", 1)),
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x, a: x[0].mean((2, 3), keepdim=True),
    "HardSigmoid": lambda x, a: torch.clamp(a.get("alpha", 0.2) * x[0] + a.get("beta", 0.5), 0, 1),
    "HardSwish": lambda x, a: F.hardswish(x[0]),
    "Identity": _same,
    "LayerNormalization": _normalise_layer,
    "LeakyRelu": lambda x, a: F.leaky_relu(x[0], a.get("alpha", 0.01)),
    "MatMul": lambda x, a: x[0] @ x[1],
    "MaxPool": _largest,
    "Mul": lambda x, a: x[0] * x[1],
    "Neg": lambda x, a: -x[0],
    "Pad": _pad,
    "Pow": lambda x, a: torch.pow(x[0], x[1]),
    "PRelu": lambda x, a: torch.where(x[0] > 0, x[0], x[1] * x[0]),
    "ReduceMean": _reduced(torch.mean),
    "ReduceSum": _reduced(torch.sum),
    "Relu": lambda x, a: torch.relu(x[0]),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": lambda x, a: torch.tensor(list(x[0].shape)[a.get("start", 0) : a.get("end")]),
    "Sigmoid": lambda x, a: torch.sigmoid(x[0]),
    "Slice": _slice,
    "Softmax": lambda x, a: torch.softmax(x[0], a.get("axis", -1)),
    "Softplus": lambda x, a: F.softplus(x[0]),
    "Sqrt": lambda x, a: torch.sqrt(x[0]),
    "Squeeze": _squeeze,
    "Sub": lambda x, a: x[0] - x[1],
    "Tanh": lambda x, a: torch.tanh(x[0]),
    "Transpose": lambda x, a: x[0].permute(a.get("perm", list(reversed(range(x[0].ndim))))),
    "Unsqueeze": _unsqueeze,
}
