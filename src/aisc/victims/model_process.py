"""Work with a stranger's model in a process of its own, whose memory, time and words are bounded.

The libraries that read and run it were not made for strangers' files. So the process gets a file, pictures and an
empty environment, and gives back bytes of a known number; what they stand for is checked here. A process that is
killed by a limit, or falls over a fault of a library, has met a model that costs too much.
"""

import json
import math
import re
import subprocess
import sys
import tempfile
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.attacks.epsilon import EPSILON
from aisc.errors import PlatformError, TransientError
from aisc.submission.findings import RuleBrokenError
from aisc.submission.model_rules import MODEL_RULES
from aisc.victims.classifier_package import Task

CHECK_SECONDS: Final = 120.0
RESULT: Final = "result"
ANSWER: Final = np.dtype("<i8")
_WORKER: Final = "aisc.victims.model_worker"
_START_SECONDS: Final = 30.0
"""CPU time that Python and torch take before they see a model, on a slow machine."""
_PATIENCE: Final = 20.0
"""Seconds of the clock for one of the processor: on a machine that does much else, a model is not to blame."""
_MIB: Final = 1 << 20
_OWN_MEMORY: Final = 768 * _MIB
"""What Python and torch take before they see a model."""
_LONGEST_NOTE: Final = 400
_PRINTABLE: Final = re.compile(r"[ -~]+")


class Exit(IntEnum):
    """How the process ended; the numbers are its exit statuses."""

    DONE = 0
    BROKEN = 11
    COST = 12


class Goals(NamedTuple):
    """What a probe turns pictures away from, one row a picture.

    Attributes:
        truth: `(n,)` int64 people, or `(n, attributes)` bool.
        given: `(n, k)` int64 numbers of the given attributes; not looked at for people.
    """

    truth: NDArray[np.generic]
    given: NDArray[np.int64]


class ProbeSettings(NamedTuple):
    """A probe as :class:`aisc.attacks.projected.Probe` has it, with its strength: plain values, without torch."""

    name: str
    steps: int
    step: float
    random_start: bool
    epsilon: int = EPSILON
    seed: int = 0


class SubmittedModel(NamedTuple):
    """A model's file, and what it may cost.

    Attributes:
        path: An ONNX file of a stranger's.
        task: What it answers.
        outputs: Logits a picture.
        memory_mib: Memory beside what Python and torch need, in MiB.
        cpus: Threads, and CPU seconds a second.
    """

    path: Path
    task: Task
    outputs: int
    memory_mib: int
    cpus: float

    def check(self) -> None:
        """Read it and ask it about noise.

        Raises:
            RuleBrokenError: one of ``MODEL_RULES``.
            PlatformError: ``MODEL_READER``: the process did not start.
            TransientError: ``MODEL_READER``: the machine was too busy for it.
        """
        self._work({"what": "check"}, {}, 0, CHECK_SECONDS)

    def answers(self, pictures: NDArray[np.uint8], seconds: float) -> NDArray[np.int64]:
        """Give its answers `(n, columns)` to uint8 RGB pictures `(n, 112, 112, 3)`; raises as :meth:`check`."""
        columns = 1 if self.task == "reid" else self.outputs
        size = len(pictures) * columns * ANSWER.itemsize
        raw = self._work({"what": "answers"}, {"pictures": pictures}, size, seconds)
        return np.frombuffer(raw, ANSWER).reshape(len(pictures), columns)

    def attacked(
        self, pictures: NDArray[np.uint8], goals: Goals, probe: ProbeSettings, seconds: float
    ) -> NDArray[np.uint8]:
        """Give the pictures of a probe on this model, uint8 of the same shape.

        Raises:
            RuleBrokenError: as :meth:`check`.
            PlatformError: ``MODEL_READER``; ``MODEL_PROBE``: what came back is not within ε.
        """
        arrays = {"pictures": pictures, "truth": goals.truth, "given": goals.given}
        raw = self._work({"what": "attacked", "probe": probe._asdict()}, arrays, pictures.size, seconds)
        found = np.frombuffer(raw, np.uint8).reshape(pictures.shape)
        if any(_gap(one, before) > probe.epsilon for one, before in zip(found, pictures, strict=True)):
            raise PlatformError(
                "MODEL_PROBE", f"The {probe.name} pictures made on {self.path.name} are not within ε.",
                "Look at the model by hand: its process was taken over, or the probe is broken.",
            )  # fmt: skip
        return found

    def _work(self, job: dict[str, Any], arrays: dict[str, NDArray[Any]], size: int, seconds: float) -> bytes:
        """Start the process, hand it arrays, and take so many bytes back."""
        job |= {
            "model": str(self.path.resolve()), "task": self.task, "outputs": self.outputs,
            "memory": self.memory_mib * _MIB + _OWN_MEMORY, "bytes": max(size, _LONGEST_NOTE),
            "cpu_seconds": math.ceil(_START_SECONDS + seconds * max(1, self.cpus)),
        }  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="aisc-model-") as place:
            for name, array in arrays.items():
                np.save(Path(place, f"{name}.npy"), array, allow_pickle=False)
            ended = _run(json.dumps(job), place, math.ceil(self.cpus), _PATIENCE * job["cpu_seconds"])
            written = _read(Path(place, RESULT), job["bytes"])
        if ended == Exit.DONE and len(written) == size:
            return written
        # Where pictures were shown, the process's words could tell of them (T41): only the check's are passed on.
        raise _broken(ended, written if job["what"] == "check" else b"")


def _run(job: str, place: str, threads: int, seconds: float) -> int:
    # Waiting threads sleep: on a busy machine they would otherwise burn the time that the others need.
    environment = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", "HOME": place, "TMPDIR": place}
    try:
        ended = subprocess.run(  # noqa: S603 - this program's own module
            [sys.executable, "-I", "-m", _WORKER, job], env=environment, cwd=place, timeout=seconds, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise TransientError(
            "MODEL_READER", f"The process that reads a model did not come to its end in {seconds:.0f} seconds.",
            "Look at what else this machine does.",
        ) from error  # fmt: skip
    if ended.returncode == 1:
        raise PlatformError(
            "MODEL_READER", "The process that reads a model did not start.", "It needs torch and libseccomp2."
        )
    return ended.returncode


def _read(path: Path, most: int) -> bytes:
    if path.is_symlink() or not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(most + 1)


def _broken(ended: int, note: bytes) -> RuleBrokenError:
    code, _, message = note.decode("ascii", "replace").partition("\n")
    if ended == Exit.BROKEN and code in MODEL_RULES and _PRINTABLE.fullmatch(message):
        return RuleBrokenError(MODEL_RULES[code], message)
    return RuleBrokenError(
        MODEL_RULES["MODEL_COST"], "It needs more time or memory than the stage gives, or brings its reader down."
    )


def _gap(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    return int(np.abs(one.astype(np.int16) - other).max(initial=0))
