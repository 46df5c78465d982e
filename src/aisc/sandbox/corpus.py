"""The hostile corpus: small programs that really try to get out, to get at something, or to take too much.

Each program says in its header what it tries, which rows of the threat table it stands for, and which verdict it must
get. It prints ``TRIED`` when it has begun and ``GAINED …`` for whatever it won. An attack counts as blocked if it was
really tried, gained nothing, got exactly its verdict, and left no trace: no process, no secret in its log or among its
outputs, no connection at a listener of ours, no output but the declared one.

``python -m aisc.sandbox.corpus`` runs it against every driver of this machine.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from aisc.errors import PlatformError
from aisc.sandbox.attacks import WALL_SECONDS, Attack, corpus_limits
from aisc.sandbox.base_image import compiled, write_base_image
from aisc.sandbox.contract import Limits, SandboxDriver, SandboxRequest, SandboxResult, Verdict
from aisc.sandbox.corpus_witness import Witness, witnessing
from aisc.sandbox.image_archive import check_image

DECLARED: Final = "result.csv"
_MEETING_SECONDS: Final = 2.0  # after which both of a pair have begun, on an idle machine
_LATE: Final = "LATE"  # what one of a pair says that began after the time of their meeting


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one attack.

    Attributes:
        attack: The attack.
        verdict: The verdict that it got.
        failures: Why it does not count as blocked; empty if it does.
        seconds: How long it took.
    """

    attack: Attack
    verdict: Verdict
    failures: tuple[str, ...]
    seconds: float

    @property
    def blocked(self) -> bool:
        """Whether nothing was gained and the verdict is the right one."""
        return not self.failures


@dataclass(frozen=True, slots=True)
class CorpusReport:
    """All attempts against one driver.

    Attributes:
        driver: Its name.
        attempts: In the order of the corpus.
        not_tried: Attacks that this machine could not prepare, with the reason.
    """

    driver: str
    attempts: tuple[Attempt, ...]
    not_tried: tuple[tuple[str, str], ...]

    @property
    def blocked(self) -> int:
        """Number of attacks that were blocked."""
        return sum(attempt.blocked for attempt in self.attempts)

    @property
    def passed(self) -> bool:
        """Whether a round may start on this driver: everything was tried and everything was blocked."""
        return self.blocked == len(self.attempts) and bool(self.attempts) and not self.not_tried


def run_corpus(
    driver: SandboxDriver, corpus: Sequence[Attack], said: Callable[[Attempt], None] = lambda _: None
) -> CorpusReport:
    """Try every attack against a driver.

    Args:
        driver: The driver.
        corpus: The attacks.
        said: Hears each attempt when it is over.

    Raises:
        UsageError: ``SANDBOX_BUSYBOX``: the corpus cannot be prepared on this machine.
        PlatformError: ``SANDBOX_CORPUS``: our own image does not pass our own check, or the driver does not take it.
    """
    with opened_bench(driver, corpus) as bench:
        attempts = []
        for attack in corpus:
            if attack.name not in bench.not_ready:
                attempts.append(bench.attempt(attack))
                said(attempts[-1])
    missing = tuple((name, "no C compiler with static libraries here") for name in bench.not_ready)
    return CorpusReport(driver.name, tuple(attempts), missing)


@contextmanager
def opened_bench(driver: SandboxDriver, corpus: Sequence[Attack]) -> Iterator["Bench"]:
    """Prepare a driver for the corpus: the image with all programs, the targets, the witness.

    Raises:
        UsageError, PlatformError: As for :func:`run_corpus`.
    """
    with tempfile.TemporaryDirectory(prefix="aisc-corpus-") as place, witnessing(Path(place)) as witness:
        programs = {attack.name: _executable(attack.source) for attack in corpus}
        ready = {name: data for name, data in programs.items() if data is not None}
        image = _admitted(driver, Path(place), ready)
        missing = tuple(sorted(set(programs) - set(ready)))
        bench = Bench(driver, image, Path(place), witness, missing, slowness=1.0)
        yield replace(bench, slowness=bench.measured_slowness())


def _executable(source: Path) -> bytes | None:
    return compiled(source) if source.suffix == ".c" else source.read_bytes()


def _admitted(driver: SandboxDriver, place: Path, programs: dict[str, bytes]) -> str:
    (place / "images").mkdir()
    write_base_image(place / "corpus.tar", programs)
    checked = check_image(place / "corpus.tar", place / "images")
    if checked.image is None:
        raise PlatformError("SANDBOX_CORPUS", f"The corpus image is refused: {checked.findings.as_json()}.")
    driver.admit(checked.image)
    return checked.image.digest


@dataclass(frozen=True, slots=True)
class Bench:
    """Where attacks are tried.

    Attributes:
        driver: The driver.
        image: Digest of the corpus's image.
        place: A folder of ours.
        witness: Our side of the attacks.
        not_ready: Attacks that cannot be compiled here.
        slowness: By which times are stretched, so that a busy machine does not look like a leak; at least 1.
    """

    driver: SandboxDriver
    image: str
    place: Path
    witness: Witness
    not_ready: tuple[str, ...]
    slowness: float

    def measured_slowness(self) -> float:
        """Give the seconds that a program which does nothing takes, at least 1."""
        start = time.monotonic()
        self._request("/bin/true", limits=corpus_limits(WALL_SECONDS))
        return max(1.0, time.monotonic() - start)

    def attempt(self, attack: Attack) -> Attempt:
        """Try one attack and judge it."""
        start = time.monotonic()
        runs = self._pair(attack) if attack.pair else [self._run(attack)]
        failures = [failure for run in runs for failure in self._failures(attack, run)]
        failures += self.witness.complaints()
        if attack.pair and _missed(runs):
            failures.append("the two never met on this busy machine")
        return Attempt(attack, runs[0].result.verdict, tuple(failures), time.monotonic() - start)

    def _pair(self, attack: Attack) -> list["_Run"]:
        """Let a writer and a reader meet; a pair that missed each other proves nothing and gets a later meeting."""
        runs: list[_Run] = []
        wait = _MEETING_SECONDS * self.slowness
        latest = attack.wall_seconds * self.slowness / 2
        while wait < latest and (not runs or _missed(runs)):
            meeting = {"AISC_MEET": str(int(time.time() + wait))}
            with ThreadPoolExecutor(2) as both:
                pair = [both.submit(self._run, attack, role, meeting) for role in ("reader", "writer")]
            runs += [run.result() for run in pair]
            wait *= 2
        return runs

    def _run(self, attack: Attack, role: str = "", environment: Mapping[str, str] | None = None) -> "_Run":
        limits = corpus_limits(attack.wall_seconds * self.slowness)
        return self._request(f"/opt/{attack.name}", *([role] if role else []), limits=limits, more=environment or {})

    def _request(self, *command: str, limits: Limits, more: Mapping[str, str] | None = None) -> "_Run":
        output = Path(tempfile.mkdtemp(dir=self.place, prefix="output-"))
        request = SandboxRequest(
            image=self.image,
            command=command,
            input=self.witness.input_folder,
            output=output,
            outputs=(DECLARED,),
            limits=limits,
            environment={"AISC_CORPUS": self.witness.mark, **(more or {})},
        )
        return _Run(self.driver.run(request), output)

    def _failures(self, attack: Attack, run: "_Run") -> Iterator[str]:
        result = run.result
        lines = run.said
        if result.verdict is not attack.expect:
            yield f"verdict {result.verdict}, not {attack.expect} {result.evidence.platform}".strip()
        if "TRIED" not in lines:
            yield "it was not seen to try"
        yield from (line[:120] for line in lines if line.startswith("GAINED"))
        yield from (f"a tool is missing: {line[:80]}" for line in lines if line.endswith(": not found"))
        collected = {path.name for path in run.output.iterdir()}
        if attack.collect is not None and collected != set(attack.collect):
            yield f"collected {sorted(collected)}, not {sorted(attack.collect)}"
        if not collected <= {DECLARED} or collected != set(result.outputs):
            yield f"collected {sorted(collected)}"
        if len(result.log) > corpus_limits(1).log_bytes:
            yield f"a log of {len(result.log)} bytes"
        seen = b"".join([result.log, *(path.read_bytes() for path in run.output.iterdir())])
        if self.witness.secret.encode() in seen:
            yield "a secret of the host came out"


@dataclass(frozen=True, slots=True)
class _Run:
    result: SandboxResult
    output: Path

    @property
    def said(self) -> list[str]:
        return self.result.log.decode(errors="replace").splitlines()


def _missed(runs: Sequence[_Run]) -> bool:
    """Whether one of the last pair began after the time of their meeting."""
    return any(_LATE in run.said for run in runs[-2:])


if __name__ == "__main__":
    from aisc.sandbox.corpus_report import main

    raise SystemExit(main())
