"""A defence as one ONNX graph, for stages that probe every defence on its own model."""

import warnings
from pathlib import Path

import torch
from torch import nn


def export(network: nn.Module, target: Path) -> None:
    """Write a network that takes float32 RGB `(n, 3, 112, 112)` in [0, 255] and gives logits `(n, outputs)`."""
    with warnings.catch_warnings():
        # The newer exporter wants one more package for the same graph, and the older one says so.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(2, 3, 112, 112),),
            str(target),
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: "n"}, "logits": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
