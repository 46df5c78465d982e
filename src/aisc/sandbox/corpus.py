"""The hostile corpus: small programs that really try to get out, to get at something, or to take too much.

Each program says in its header what it tries, which rows of the threat table it stands for, and which verdict it must
get. It prints ``TRIED`` when it has begun and ``GAINED …`` for whatever it won. An attack counts as blocked if it was
really tried, gained nothing, got exactly its verdict, and left no trace: no process, no secret in its log or among its
outputs, no connection at a listener of ours, no output but the declared one.

``python -m aisc.sandbox.corpus`` runs it against every driver of this machine.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from aisc.errors import PlatformError
from aisc.sandbox.base_image import compiled, write_base_image
from aisc.sandbox.contract import MIB, Limits, SandboxDriver, SandboxRequest, SandboxResult, Verdict
from aisc.sandbox.corpus_witness import Witness, witnessing
from aisc.sandbox.image_archive import check_image

DECLARED: Final = "result.csv"
_HEADER_LINES: Final = 12
_READER_DELAY: Final = 1.0  # seconds that the writer of a pair is ahead


@dataclass(frozen=True, slots=True)
class Attack:
    """One program of the corpus.

    Attributes:
        name: File name without its ending.
        source: The file.
        attack: What it tries, in words.
        threats: Rows of the threat table.
        expect: The verdict that it must get.
        wall_seconds: Time limit of its run.
        pair: Whether a writer and a reader run at the same time; nothing may pass between them.
        collect: Files that must be collected; ``None`` if it does not matter.
    """

    name: str
    source: Path
    attack: str
    threats: tuple[str, ...]
    expect: Verdict
    wall_seconds: float = 10.0
    pair: bool = False
    collect: tuple[str, ...] | None = None


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


def read_corpus() -> tuple[Attack, ...]:
    """Read the programs that come with the package, in the order of their names."""
    folder = Path(str(resources.files("aisc.sandbox") / "corpus_programs"))
    return tuple(read_attack(path) for path in sorted(folder.iterdir()) if path.suffix in (".sh", ".c"))


def read_attack(path: Path) -> Attack:
    """Read a program's header: lines ``# key: value``, or ``// key: value`` in C.

    Raises:
        ValueError: A key is missing or unknown.
    """
    header: dict[str, str] = {}
    for line in path.read_text().splitlines()[:_HEADER_LINES]:
        mark, _, rest = line.partition(" ")
        key, colon, value = rest.partition(": ")
        if mark in ("#", "//") and colon:
            header[key] = value.strip()
    unknown = set(header) - {"attack", "threat", "expect", "wall", "pair", "collect"}
    if unknown or not {"attack", "threat", "expect"} <= set(header):
        raise ValueError(f"{path.name}: the header lacks attack, threat or expect, or has unknown keys {unknown}.")
    collect = header.get("collect")
    return Attack(
        name=path.stem,
        source=path,
        attack=header["attack"],
        threats=tuple(header["threat"].split()),
        expect=Verdict(header["expect"]),
        wall_seconds=float(header.get("wall", "10")),
        pair=header.get("pair") == "yes",
        collect=None if collect is None else tuple(collect.replace("none", "").split()),
    )


def corpus_limits(wall_seconds: float) -> Limits:
    """Give the small limits that the corpus is written for."""
    return Limits(
        wall_seconds=wall_seconds,
        memory_bytes=96 * MIB,
        processes=32,
        tmp_bytes=8 * MIB,
        shm_bytes=8 * MIB,
        output_bytes=8 * MIB,
        output_files=8,
        log_bytes=64 << 10,
    )


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
        yield Bench(driver, image, Path(place), witness, tuple(sorted(set(programs) - set(ready))))


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
    """

    driver: SandboxDriver
    image: str
    place: Path
    witness: Witness
    not_ready: tuple[str, ...]

    def attempt(self, attack: Attack) -> Attempt:
        """Try one attack and judge it."""
        start = time.monotonic()
        if attack.pair:
            with ThreadPoolExecutor(1) as beside:
                writer = beside.submit(self._run, attack, "writer")
                time.sleep(_READER_DELAY)
                runs = [self._run(attack, "reader")]
                runs.append(writer.result())
        else:
            runs = [self._run(attack, "")]
        failures = [failure for run in runs for failure in self._failures(attack, run)]
        failures += self.witness.complaints()
        return Attempt(attack, runs[0].result.verdict, tuple(failures), time.monotonic() - start)

    def _run(self, attack: Attack, role: str) -> "_Run":
        output = Path(tempfile.mkdtemp(dir=self.place, prefix="output-"))
        request = SandboxRequest(
            image=self.image,
            command=(f"/opt/{attack.name}", *([role] if role else [])),
            input=self.witness.input_folder,
            output=output,
            outputs=(DECLARED,),
            limits=corpus_limits(attack.wall_seconds),
            environment={"AISC_CORPUS": self.witness.mark},
        )
        return _Run(self.driver.run(request), output)

    def _failures(self, attack: Attack, run: "_Run") -> Iterator[str]:
        result = run.result
        lines = result.log.decode(errors="replace").splitlines()
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


if __name__ == "__main__":
    from aisc.sandbox.corpus_report import main

    raise SystemExit(main())
