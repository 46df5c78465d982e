"""From pictures to unit vectors: one small network in ONNX, one thread, batches of one size."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from task import Pixels

BATCH = 50
"""Pictures at once. The last batch is filled up: other sizes would round otherwise, and a picture's features differ."""

Features = NDArray[np.float32]
"""Unit vectors, `(n, d)`."""
Report = Callable[[int], None]
"""Called with the number of pictures that a step has done."""


def embed(weights: Path, pixels: Pixels, report: Report) -> Features:
    """Give each picture's features `(n, d)`, brought to length 1; a vector of length 0 stays as it is.

    Args:
        weights: ONNX network from RGB float32 `(n, 3, 112, 112)` in [0, 255] to `(n, d)`.
        pixels: `(n, 112, 112, 3)` uint8.
        report: Told of the progress.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    batches = []
    for start in range(0, len(pixels), BATCH):
        some = pixels[start : start + BATCH]
        filled = np.zeros((BATCH, *pixels.shape[1:]), np.uint8)
        filled[: len(some)] = some
        planes = np.ascontiguousarray(filled.transpose(0, 3, 1, 2), dtype=np.float32)
        batches.append(session.run(None, {entry.name: planes})[0][: len(some)])
        report(len(some))
    vectors = np.concatenate(batches)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)
