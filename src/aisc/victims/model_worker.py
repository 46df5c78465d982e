"""The process that opens a stranger's model; :mod:`aisc.victims.model_process` starts it and believes nothing it says.

Before the first byte of the model is looked at, the process gives up what it does not need: memory, time, and nearly
all system calls. What is left can compute, and write to the one file that is open; it can open no other, start no
program, and reach nobody.
"""

import ctypes
import errno
import io
import json
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from aisc.attacks.objectives import attribute_signs, away_from, flip
from aisc.attacks.projected import Probe, attack_pictures
from aisc.submission.findings import RuleBrokenError
from aisc.victims.classifier import answers
from aisc.victims.model_process import ANSWER, RESULT, Exit
from aisc.victims.submitted_model import read_submitted

BATCH: Final = 16
"""Pictures at once: the memory of a backward pass grows with them, its speed hardly."""
_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG
_THREAD: Final = 0x10000  # CLONE_THREAD
_NEEDED: Final = """
brk clock_getres clock_gettime clock_nanosleep close exit exit_group fstat futex get_mempolicy getcpu getpid getrandom
getrusage gettid gettimeofday lseek madvise membarrier mmap mprotect mremap munmap nanosleep newfstatat pread64 prctl
read restart_syscall rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity sched_setaffinity sched_yield
set_robust_list sigaltstack sysinfo tgkill write writev
"""


def main(words: str) -> Exit:
    """Take what the job names from the present folder, give up the rest, and work."""
    job = json.loads(words)
    arrays = {path.stem: np.load(path, mmap_mode="r") for path in Path().glob("*.npy")}
    raw = Path(job["model"]).read_bytes()
    with Path(RESULT).open("wb", buffering=0) as result:
        _warm_up()
        _limit(job)
        _seal()
        return work(job, raw, arrays, result)


def work(job: Mapping[str, Any], raw: bytes, arrays: Mapping[str, NDArray[Any]], result: IO[bytes]) -> Exit:
    """Do what a job asks for; the file gets what comes out, or which rule is broken."""
    try:
        result.write(_result(read_submitted(raw, job["outputs"]), job, arrays))
    except RuleBrokenError as broken:
        result.write(f"{broken.rule.code}\n{broken.message}".encode("ascii", "replace"))
        return Exit.BROKEN
    except Exception:  # memory, or whatever else a hostile model provokes
        return Exit.COST
    return Exit.DONE


def _warm_up() -> None:
    """Do the work once on a model of our own: libraries load at first use, while files can still be opened."""
    nodes = [
        helper.make_node("Conv", ["images", "kernel"], ["features"], strides=[28, 28]),
        helper.make_node("Flatten", ["features"], ["row"]),
        helper.make_node("MatMul", ["row", "weights"], ["logits"]),
    ]
    shapes = {"kernel": (4, 3, 28, 28), "weights": (64, 5)}
    constants = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in shapes.items()]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("images", "logits")]
    graph = helper.make_graph(nodes, "own", ends[:1], ends[1:], constants)
    raw = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    probe = {"name": "pgd", "steps": 1, "step": 1.0, "random_start": True, "epsilon": 1, "seed": 0}
    pictures, ids = np.zeros((2, 112, 112, 3), np.uint8), np.zeros((2, 1), np.int64)
    arrays = {"pictures": pictures, "truth": np.zeros((2, 5), np.bool_), "given": ids}
    job = {"outputs": 5, "task": "attributes", "probe": probe}
    for what in ("answers", "attacked"):
        if work(job | {"what": what}, raw, arrays, io.BytesIO()) != Exit.DONE:
            raise RuntimeError("the reader of models does not work on a model of its own")


def _limit(job: Mapping[str, Any]) -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    limits = {
        resource.RLIMIT_DATA: job["memory"],
        resource.RLIMIT_CPU: job["cpu_seconds"],
        resource.RLIMIT_FSIZE: job["bytes"],
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in limits.items():
        resource.setrlimit(kind, (most, most))


def _seal() -> None:
    """Answer "not permitted" to every system call but the needed ones, in all threads and for good."""
    import pyseccomp

    chosen = pyseccomp.SyscallFilter(defaction=pyseccomp.ERRNO(errno.EPERM))
    for name in _NEEDED.split():
        chosen.add_rule(pyseccomp.ALLOW, name)
    chosen.add_rule(pyseccomp.ALLOW, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _THREAD, _THREAD))
    # Told that it does not exist, glibc starts threads by clone, whose flags a filter can see.
    chosen.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    chosen.set_attr(pyseccomp.Attr.CTL_TSYNC, 1)
    chosen.load()


def _result(model: nn.Module, job: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    if job["what"] == "answers":
        return _answers(model, job, arrays["pictures"])
    if job["what"] == "attacked":
        return _attacked(model, job, **arrays)
    return b""


def _answers(model: nn.Module, job: Mapping[str, Any], pictures: NDArray[np.uint8]) -> bytes:
    said = []
    with torch.no_grad():
        for start in range(0, len(pictures), BATCH):
            batch = np.array(pictures[start : start + BATCH])
            logits = model(torch.from_numpy(batch).permute(0, 3, 1, 2).float()).numpy()
            said.append(answers(job["task"], logits).astype(ANSWER))
    return b"".join(one.tobytes() for one in said)


def _attacked(
    model: nn.Module,
    job: Mapping[str, Any],
    pictures: NDArray[np.uint8],
    truth: NDArray[Any],
    given: NDArray[np.int64],
) -> bytes:
    settings = dict(job["probe"])
    epsilon, seed = settings.pop("epsilon"), settings.pop("seed")
    reid = job["task"] == "reid"
    goals = np.array(truth) if reid else attribute_signs(np.array(truth), np.array(given))
    return attack_pictures(
        model, away_from if reid else flip, np.array(pictures), goals, Probe(**settings),
        epsilon=epsilon, seed=seed, batch=BATCH,
    ).tobytes()  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
