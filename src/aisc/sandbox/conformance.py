"""Before strangers' programs run: proof that this driver, on this machine, today, blocks every attack of the corpus.

The proof is a record in the machine's cache. It counts for a day and for exactly the driver, the versions and the code
it was made with. An organizer can let a driver pass that failed, with a reason; the reason and the failures are then
part of the record, so that nothing of it is silent.
"""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from aisc.errors import PlatformError
from aisc.sandbox.attacks import read_corpus
from aisc.sandbox.contract import SandboxDriver
from aisc.sandbox.corpus import Attempt, CorpusReport, run_corpus
from aisc.sandbox.own_code import code_digest

VALID_FOR: Final = timedelta(days=1)
_FOLDER: Final = "conformance"


@dataclass(frozen=True, slots=True)
class Record:
    """What the corpus found; for organizers and for the round's own record.

    Attributes:
        driver: Name of the driver, such as ``docker+runsc``.
        versions: Machine, kernel, and what the driver consists of.
        code: Digest of ``aisc.sandbox`` with the corpus.
        tested: When, UTC, ISO 8601.
        tried: Number of attacks tried.
        blocked: Number of attacks blocked.
        failures: One line an attack that was not blocked or could not be tried.
        exception: Why an organizer lets the driver pass all the same; ``""`` if nobody had to.
    """

    driver: str
    versions: Mapping[str, str]
    code: str
    tested: str
    tried: int
    blocked: int
    failures: tuple[str, ...]
    exception: str = ""

    @property
    def passed(self) -> bool:
        """Whether all attacks were tried and all were blocked."""
        return not self.failures and self.tried == self.blocked > 0

    @property
    def aloud(self) -> str:
        """One line for the terminal and the round's record."""
        counts = f"sandbox {self.driver}: {self.tried} attacks tried, {self.blocked} blocked"
        return counts + (f"; exception: {self.exception}" if self.exception else "")

    def as_json(self) -> dict[str, object]:
        """Give plain values."""
        return {**asdict(self), "passed": self.passed}


Corpus = Callable[[SandboxDriver], CorpusReport]


def whole_corpus(driver: SandboxDriver, said: Callable[[Attempt], None] = lambda _: None) -> CorpusReport:
    """Try everything (about a minute); ``said`` hears each attempt when it is over."""
    return run_corpus(driver, read_corpus(), said)


def ensure_conformance(
    driver: SandboxDriver, cache: Path, exception: str | None = None, corpus: Corpus = whole_corpus
) -> Record:
    """Let a driver pass that has a fresh record, or that blocks everything now.

    Args:
        driver: The driver in use.
        cache: The machine's cache folder.
        exception: An organizer's reason to use a driver that fails, from the season file.
        corpus: Tries the attacks.

    Returns:
        The record that the driver passes by.

    Raises:
        PlatformError: ``SANDBOX_NOT_CONFORMANT``: an attack got through, or could not be tried, and nobody excepts it.
        UsageError: ``SANDBOX_BUSYBOX``: the corpus cannot be prepared on this machine.
    """
    versions = machine_versions(driver)
    record = _fresh(_place(driver, versions, cache))
    # A failure is worth a new look, unless an organizer has taken it into account already.
    if record is None or not (record.passed or (exception and record.exception == exception)):
        record = try_driver(driver, cache, exception, corpus)
    if record.passed or record.exception:
        return record
    raise PlatformError(
        "SANDBOX_NOT_CONFORMANT",
        f"{record.driver} blocked {record.blocked} of {record.tried} attacks; not: {'; '.join(record.failures)}.",
        "See 'aisc doctor --sandbox' and docs/runbooks/sandbox.md; no stranger's program runs before.",
    )


def try_driver(
    driver: SandboxDriver, cache: Path, exception: str | None = None, corpus: Corpus = whole_corpus
) -> Record:
    """Try the corpus now, whatever was recorded before, and record what it found; arguments as above."""
    versions = machine_versions(driver)
    report = corpus(driver)
    record = Record(
        driver=driver.name,
        versions=versions,
        code=code_digest(),
        tested=datetime.now(UTC).isoformat(timespec="seconds"),
        tried=len(report.attempts),
        blocked=report.blocked,
        failures=(
            *(f"{tried.attack.name}: {', '.join(tried.failures)}" for tried in report.attempts if not tried.blocked),
            *(f"{name}: not tried, {why}" for name, why in report.not_tried),
        ),
    )
    if exception and not record.passed:
        record = replace(record, exception=exception)
    _write(_place(driver, versions, cache), record)
    return record


def machine_versions(driver: SandboxDriver) -> dict[str, str]:
    """Name everything whose change may change how tight the sandbox is."""
    kernel = f"{platform.release()} {platform.version()}"
    return {"machine": platform.node(), "kernel": kernel, **driver.versions()}


def _place(driver: SandboxDriver, versions: Mapping[str, str], cache: Path) -> Path:
    bound = json.dumps([driver.name, dict(versions), code_digest()], sort_keys=True)
    return cache / _FOLDER / f"{driver.name}-{hashlib.sha256(bound.encode()).hexdigest()[:16]}.json"


def _fresh(place: Path) -> Record | None:
    try:
        value = json.loads(place.read_bytes())
        value.pop("passed")
        record = Record(**{**value, "failures": tuple(value["failures"])})
        age = datetime.now(UTC) - datetime.fromisoformat(record.tested)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # absent, cut off, or of another form: try anew
        return None
    return record if timedelta(0) <= age < VALID_FOR else None


def _write(place: Path, record: Record) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    staged = place.with_suffix(f".{os.getpid()}")
    staged.write_text(json.dumps(record.as_json(), indent=2) + "\n")
    staged.replace(place)
