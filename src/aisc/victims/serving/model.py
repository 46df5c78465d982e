"""A victim inside Triton's Python backend: runs one ONNX or TorchScript file, after it has proved itself on its canary.

This file is copied into the model repository and run by the server's own Python, which has no aisc.
"""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Run = Callable[[NDArray[Any]], list[NDArray[Any]]]
THREADS = "AISC_VICTIM_THREADS"


class TritonPythonModel:
    """What the Python backend calls; a name and methods that Triton prescribes."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the file and ask about the canary; a model that fails here never becomes ready."""
        import triton_python_backend_utils as server  # type: ignore[import-not-found]  # exists inside Triton alone

        self._server = server
        config = json.loads(args["model_config"])
        parameters = {name: one["string_value"] for name, one in config["parameters"].items()}
        folder = Path(args["model_repository"])
        weights = (folder / args["model_version"] / parameters["weights"]).read_bytes()
        if hashlib.sha256(weights).hexdigest() != parameters["sha256"]:
            raise RuntimeError(
                f"the weights of {args['model_name']} are not those that the repository was written with"
            )
        self._question = config["input"][0]["name"]
        self._answers = [one["name"] for one in config["output"]]
        on_gpu = args["model_instance_kind"] == "GPU"
        if parameters["weights"].endswith(".onnx"):
            self._run = onnx_runner(weights, self._question, self._answers, on_gpu)
        else:
            self._run = script_runner(weights, f"cuda:{args['model_instance_device_id']}" if on_gpu else "cpu")
        prove(self._run, folder / "warmup")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request by a pass of its own, so that no answer depends on what else is in the queue."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:  # noqa: ANN401 - Triton's types exist inside Triton alone
        server = self._server
        question = server.get_input_tensor_by_name(request, self._question).as_numpy()
        try:
            found = self._run(question)
        except Exception as error:  # whatever the runtime raises is this request's answer
            return server.InferenceResponse(error=server.TritonError(f"{type(error).__name__}: {error}"[:500]))
        pairs = zip(self._answers, found, strict=True)
        return server.InferenceResponse([server.Tensor(name, one) for name, one in pairs])


def onnx_runner(weights: bytes, question: str, answers: list[str], on_gpu: bool) -> Run:
    """Run an ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    # Threads that spin between two requests take the processor from the one who prepares the next request.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] = ["CPUExecutionProvider"]
    if on_gpu:
        providers.insert(0, ("CUDAExecutionProvider", {"use_tf32": "0"}))
    session = onnxruntime.InferenceSession(weights, options, providers=providers)
    return lambda batch: list(session.run(answers, {question: batch}))


def script_runner(weights: bytes, device: str) -> Run:
    """Run a TorchScript file."""
    import io

    import torch

    torch.set_num_threads(threads())
    module = torch.jit.load(io.BytesIO(weights), map_location=device).eval()  # type: ignore[no-untyped-call]

    def run(batch: NDArray[Any]) -> list[NDArray[Any]]:
        with torch.inference_mode():
            answer = module(torch.from_numpy(np.array(batch)).to(device))
        return [one.float().cpu().numpy() for one in (answer if isinstance(answer, list | tuple) else [answer])]

    return run


def threads() -> int:
    """Give the number of threads: what the environment says, else a thread for each processor that is ours."""
    return int(os.environ.get(THREADS) or len(os.sched_getaffinity(0)))


def prove(run: Run, folder: Path) -> None:
    """Compare the answers to the canary with the recorded ones.

    Raises:
        RuntimeError: When they differ by more than the recorded tolerance, relative to the largest number.
    """
    canary = json.loads((folder / "canary.json").read_text())
    dtype = {"UINT8": np.uint8, "FP32": np.float32}[canary["question"]["datatype"]]
    question = np.frombuffer((folder / "canary").read_bytes(), dtype=dtype).reshape(canary["question"]["shape"])
    for answer, found in zip(canary["answers"], run(question), strict=True):
        expected = np.frombuffer((folder / f"{answer['name']}.expected").read_bytes(), "<f4").reshape(answer["shape"])
        bound = canary["tolerance"] * max(1.0, float(np.abs(expected).max()))
        if found.shape != expected.shape or not float(np.abs(found - expected).max()) <= bound:
            raise RuntimeError(f"{canary['model']} does not answer its canary as the package does")
