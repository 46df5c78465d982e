"""Whose fault is it, and what should be done: the three kinds of failure.

Every error carries a stable code, a sentence that names the thing and the rule, and a remedy. Who is at fault decides
what happens next: a participant's fault ends the run with a verdict, a transient fault is tried again, and a fault of
the platform gives the attempt back to the team.
"""

from typing import ClassVar, Literal

Party = Literal["participant", "operator", "transient", "platform"]


class AiscError(Exception):
    """An error that a person can act on.

    Args:
        code: Stable upper-case identifier, such as ``ZIP_PATH_ESCAPE``; programs may match it.
        message: One sentence that names the file or thing and the rule that it breaks.
        remedy: What to do about it.
    """

    party: ClassVar[Party] = "platform"
    exit_code: ClassVar[int] = 4

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        """Keep the three parts apart, so that each reader gets the ones meant for them."""
        super().__init__(code, message, remedy)
        self.code = code
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """Give the line that a terminal shows."""
        return f"{self.code}: {self.message}" + (f" {self.remedy}" if self.remedy else "")


class SubmissionRefusedError(AiscError):
    """The submission breaks a rule: the team is told why, and the attempt is spent."""

    party = "participant"
    exit_code = 3


class UsageError(AiscError):
    """An organizer's or operator's input is wrong: a season file, a name, an option."""

    party = "operator"
    exit_code = 2


class TransientError(AiscError):
    """Something that may work when tried again: a store that stalls, a server that restarts."""

    party = "transient"


class PlatformError(AiscError):
    """Our fault: the attempt is given back to the team and an operator is told."""
