"""From a trained network to an ONNX file that `run.py` reads."""

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from network import FingerprintNetwork

TOLERANCE = 1e-3


def export(network: FingerprintNetwork, target: Path) -> None:
    """Write a network as ONNX, float32, any number of pictures; make sure that it still gives the same features.

    Raises:
        SystemExit: The file's features differ from the network's.
    """
    network.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    sample = torch.rand(3, 3, 112, 112, generator=torch.Generator().manual_seed(1)) * 255
    with warnings.catch_warnings():
        # The newer exporter wants two more packages for the same graph.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            (sample,),
            str(target),
            input_names=["pictures"],
            output_names=["features"],
            dynamic_axes={"pictures": {0: "n"}, "features": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
    with torch.no_grad():
        wanted = network(sample).numpy()
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    got = session.run(None, {"pictures": sample.numpy()})[0]
    if not np.allclose(got, wanted, atol=TOLERANCE):
        raise SystemExit(f"{target}: the exported network gives other features than the trained one.")
