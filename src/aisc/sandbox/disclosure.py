"""What a team learns about its run: little enough that neither log nor duration nor exit status carries hidden data.

A program that reads hidden images could write what it saw to its log, or end early or late for each of them (T41, T43).
So a team gets the verdict, the codes of broken rules, and its time rounded up to a power of two; the log stays here.
"""

import math
import unicodedata
from dataclasses import asdict, dataclass
from typing import Final

from aisc.sandbox.contract import SandboxResult, Verdict

_REASONS: Final = {
    Verdict.COMPLETED: "The program ended by itself and its outputs were collected.",
    Verdict.TIMEOUT: "The program took longer than allowed.",
    Verdict.OUT_OF_MEMORY: "The program, with what it wrote to /tmp, /dev/shm and /output, needed too much memory.",
    Verdict.PROCESS_LIMIT: "The program started more processes and threads than allowed.",
    Verdict.DISK_LIMIT: "The program filled /tmp, /dev/shm or /output.",
    Verdict.OUTPUT_LIMIT: "The program wrote more files, bytes or lines than allowed.",
    Verdict.CRASHED: "The program ended with an error.",
    Verdict.IMAGE_REFUSED: "The image breaks a rule.",
    Verdict.PLATFORM_FAULT: "The run failed on our side; the attempt is given back.",
}
_SHORTEST_SECONDS: Final = 8


@dataclass(frozen=True, slots=True)
class TeamReport:
    """The whole of what leaves towards a team.

    Attributes:
        verdict: How the run ended.
        reason: The same sentence for every run with this verdict.
        codes: Broken rules, sorted, each once; of runs that never began, also where.
        seconds_at_most: Duration, rounded up to 8, 16, 32… seconds.
    """

    verdict: Verdict
    reason: str
    codes: tuple[str, ...]
    seconds_at_most: int

    def as_json(self) -> dict[str, object]:
        """Give plain values."""
        return asdict(self)


def team_report(result: SandboxResult) -> TeamReport:
    """Coarsen a result for the team.

    Codes come from a fixed list and names of outputs from the platform, so that for each run a team learns one of at
    most nine verdicts, one of about a dozen durations, and which of five output rules are broken: below 12 bits.
    """
    codes = sorted({finding.code for finding in result.findings})
    return TeamReport(result.verdict, _REASONS[result.verdict], tuple(codes), time_bucket(result.evidence.wall_seconds))


def time_bucket(seconds: float) -> int:
    """Round a duration up.

    >>> [time_bucket(seconds) for seconds in (0.1, 8.0, 8.1, 100.0)]
    [8, 8, 16, 128]
    """
    return _SHORTEST_SECONDS << max(0, math.ceil(math.log2(max(seconds, 1e-9) / _SHORTEST_SECONDS)))


def printable_log(log: bytes) -> list[str]:
    r"""Give a run's log as lines that an organizer's terminal can show: nothing in them moves, colours or splits (T44).

    >>> printable_log(b"a\x1b[2J\r\nb\x00")
    ['a\\x1b[2J\\r', 'b\\x00']
    """
    text = log.decode("utf-8", errors="backslashreplace")
    return ["".join(map(_shown, line)) for line in text.split("\n")]


def _shown(character: str) -> str:
    # Control and format characters, lone surrogates, and the two separators that some programs take for line ends.
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character != "\t":
        return character.encode("unicode_escape").decode()
    return character
