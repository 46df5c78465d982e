"""Face classifiers on torch: built-in networks from safetensors, gradients for attacks, export for participants."""

import warnings
from pathlib import Path

import torch
from torch import nn

from aisc.victims.classifier_networks import ClassifierArchitecture, ClassifierNetwork
from aisc.victims.classifier_package import ClassifierPackage
from aisc.victims.torch_models import filled, load_script, module_forward
from aisc.victims.verifier import Forward

_OPSET = 17


def load_classifier(package: ClassifierPackage) -> nn.Module:
    """Load a model with gradients, in float32 and evaluation mode.

    It maps float32 RGB `(n, 3, 112, 112)` in [0, 255] to logits, if the package declares its input so.

    Raises:
        UsageError: VICTIM_WEIGHTS_INVALID, or VICTIM_NO_GRADIENTS for an ONNX graph with unknown operators.
    """
    described = package.description
    if described.format == "onnx":
        # Not at the top: only a defence's ONNX model under a white-box probe pays for it.
        from aisc.victims.onnx_gradients import load_onnx

        return load_onnx(package.weights, package.folder)
    if described.format == "torchscript":
        return load_script(package.weights, package.folder)
    assert described.architecture is not None  # noqa: S101 - the description's own check says so
    shape = described.architecture
    architecture = ClassifierArchitecture(shape.widths, shape.hidden, described.outputs)
    return filled(lambda: ClassifierNetwork(architecture), package.weights, package.folder)


def package_forward(package: ClassifierPackage) -> Forward:
    """Make the forward pass of a built-in or TorchScript package."""
    return module_forward(load_classifier(package))


def export_classifier(package: ClassifierPackage, folder: Path) -> list[Path]:
    """Write a built-in classifier as `NAME.pt` (TorchScript, with gradients) and `NAME.onnx`, for participants.

    Both map float32 RGB `images` `(n, 3, 112, 112)` in [0, 255] to `logits` `(n, outputs)`, for any n.

    Raises:
        UsageError: as :func:`load_classifier` does.
    """
    network = load_classifier(package)
    name = package.description.name
    folder.mkdir(parents=True, exist_ok=True)
    script, graph = folder / f"{name}.pt", folder / f"{name}.onnx"
    torch.jit.script(network).save(str(script))  # type: ignore[no-untyped-call]
    with warnings.catch_warnings():
        # The exporter that needs no further package says that it is the older one.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (torch.zeros(1, 3, 112, 112),), str(graph), dynamo=False, opset_version=_OPSET,
            input_names=["images"], output_names=["logits"], dynamic_axes={"images": {0: "n"}, "logits": {0: "n"}},
        )  # fmt: skip
    return [script, graph]
