"""Victims that run on torch: built-in networks from safetensors, TorchScript files, the way between them."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from aisc.errors import UsageError
from aisc.victims.networks import Architecture, EmbeddingNetwork, build_network
from aisc.victims.package import VictimPackage, load_package
from aisc.victims.verifier import Forward, invalid_weights

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def load_network(package: VictimPackage) -> EmbeddingNetwork:
    """Build a built-in network with the package's weights, in float32 and evaluation mode.

    Use it where gradients are needed (a white-box attack on a surrogate); a victim is asked through its verifier.

    Raises:
        UsageError: VICTIM_NOT_BUILTIN or VICTIM_WEIGHTS_INVALID.
    """
    described = package.description.architecture
    if described is None:
        raise UsageError(
            "VICTIM_NOT_BUILTIN",
            f"{package.folder} is a {package.description.format} victim, not a built-in network.",
            "Name a victim that `aisc victims train` made.",
        )
    shape = Architecture(described.family, described.widths, described.depths, described.dim)
    return filled(lambda: build_network(shape), package.weights, package.folder)


def filled(build: Callable[[], ModuleT], weights: bytes, origin: Path) -> ModuleT:
    """Build a network and fill it from safetensors bytes, in float32 and evaluation mode.

    Raises:
        UsageError: VICTIM_WEIGHTS_INVALID, which names the package, ``origin``.
    """
    try:
        network = build()
        network.load_state_dict({name: tensor.float() for name, tensor in load_tensors(weights).items()})
    except Exception as error:  # safetensors raises its own type, torch a RuntimeError
        raise invalid_weights(origin, "built-in", error) from error
    return network.eval()


def pack_weights(network: nn.Module) -> bytes:
    """Give a network's weights as safetensors in half precision, without counters.

    The threshold is calibrated on weights read back from these bytes, so halving the precision changes no decision.
    """
    tensors = {
        name: tensor.detach().to(torch.float16).contiguous()
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    return bytes(save_tensors(tensors))


def package_forward(package: VictimPackage) -> Forward:
    """Make the forward pass of a built-in or TorchScript package."""
    if package.description.format == "builtin":
        return module_forward(load_network(package))
    return module_forward(load_script(package.weights, package.folder))


def load_script(weights: bytes, origin: Path) -> nn.Module:
    """Load TorchScript from bytes, on the processor, in evaluation mode.

    Raises:
        UsageError: VICTIM_WEIGHTS_INVALID.
    """
    try:
        module = torch.jit.load(io.BytesIO(weights), map_location="cpu")  # type: ignore[no-untyped-call]
    except Exception as error:
        raise invalid_weights(origin, "TorchScript", error) from error
    loaded: nn.Module = module.eval()
    return loaded


def module_forward(module: nn.Module) -> Forward:
    """Make a forward pass from a module; channels last is the fast layout of convolutions on a processor."""
    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            images = torch.from_numpy(batch)
            if images.ndim == 4 and images.shape[1] == 3:
                images = images.contiguous(memory_format=torch.channels_last)
            answer: Tensor = module(images)
            result: NDArray[np.float32] = answer.float().numpy()
            return result

    return forward


def export_torchscript(folder: Path, target: Path) -> None:
    """Write a built-in package's network as one TorchScript file, for participants.

    The module maps float32 RGB `(n, 3, 112, 112)` in [0, 255] to embeddings of length 1 and can be differentiated;
    the mirror image, where the package declares it, is left to the caller.

    Raises:
        UsageError: as `load_package` and `load_network` do.
    """
    network = load_network(load_package(folder))
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.jit.script(network).save(str(target))  # type: ignore[no-untyped-call]
