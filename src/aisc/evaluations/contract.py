"""What a rulebook must bring so that the stages, the kit and the command line can serve its track.

The stages know how a submission travels: once, resumable, fault by fault. An evaluation knows what a submission is.
One class a rulebook; a season names it by ``rules``, and :func:`aisc.evaluations.evaluation_of` finds it.
"""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import BaseModel

from aisc.errors import PlatformError, UsageError
from aisc.identity import Plan, Version
from aisc.leaderboard.bundle import Picture
from aisc.leaderboard.result import ImageTable
from aisc.ledger.runs import Score
from aisc.ledger.submissions import Earlier
from aisc.sandbox.image_rules import ImageLimits
from aisc.season import StageRef
from aisc.submission.findings import Finding, Findings
from aisc.workbench import MANIFEST, Workbench

if TYPE_CHECKING:
    import pandas as pd

Remember = Callable[[str, Path, Callable[[], None]], None]
"""Do a part of a step once: name of the part, the file that it makes, and how; a retry gets the file back."""

Tick = Callable[[int, int], None]
"""Told of progress: done, all."""


class Checked(NamedTuple):
    """What validation leaves behind; nothing later opens a participant's own file.

    Attributes:
        content: What the victims will see.
        verdicts: What the rules say of every item of the submission.
    """

    content: Path
    verdicts: Path


class Told(NamedTuple):
    """What a team is told beside its score: only what it could compute from its own files, and pictures.

    Attributes:
        items: The rules' verdict on every item, ``None`` where a submission has no items.
        pictures: By file name.
        failed: Whether the team's own program failed, which is no breach of a rule and no score.
    """

    items: ImageTable | None = None
    pictures: Mapping[str, Picture] = {}
    failed: bool = False


class Checkup(NamedTuple):
    """What an offline check tells a participant.

    Attributes:
        findings: Every broken rule.
        counts: Items by what became of them.
        accepted: The sentence for a submission that would be scored.
        pictures: PNG bytes by file name.
    """

    findings: Findings
    counts: Mapping[str, int]
    accepted: str
    pictures: Mapping[str, bytes] = {}


class Entered(NamedTuple):
    """What a result that organizers entered is worth.

    Attributes:
        value: The score; ``None`` when the result is void.
        code: Stable code of why it is void, ``""`` otherwise.
        reason: The same in words.
        parts: Named numbers for the board.
    """

    value: float | None
    code: str
    reason: str
    parts: Mapping[str, float | int]


class Void(NamedTuple):
    """Why a score does not count.

    Attributes:
        code: Stable code.
        reason: The same in words.
    """

    code: str
    reason: str


class Evaluation(ABC):
    """One rulebook at work.

    Attributes:
        kit_folder: Name of the folder in a participants' kit that holds the open data.
        evidence_files: Which step and output of a run :meth:`evidence` reads as content, verdicts and answers.
    """

    kit_folder: ClassVar[str]
    evidence_files: ClassVar[Mapping[str, tuple[str, str]]] = {
        "content": ("validate_submission", "content"),
        "verdicts": ("validate_submission", "verdicts"),
        "answers": ("query_victims", "answers"),
    }

    @abstractmethod
    def measure(self, stage: str, *, entered: bool = False) -> str:
        """Name what a stage (its name without the track) ranks by, computed or entered by organizers."""

    def higher_is_better(self, stage: str) -> bool:
        """Tell whether a stage ranks the highest score first."""
        return True

    def void(self, score: Score, limits: Mapping[str, Any]) -> Void | None:
        """Tell why a computed score is not ranked under the limits that it was computed with; ``None`` if it is."""
        return None

    def admit(self, ref: StageRef, team: str, filename: str, earlier: Sequence[Earlier]) -> list[Finding]:
        """List the rules about people that a new submission breaks; it is not received then, and costs nothing.

        Called inside the ledger's transaction: nothing may be looked up or waited for here.

        Args:
            ref: Where it is sent.
            team: The team's name.
            filename: The name that the team gave the file.
            earlier: The team's earlier submissions of the season, to any stage.
        """
        return []

    @abstractmethod
    def review_form(self, stage: str, *, entered: bool = False) -> type[BaseModel]:
        """Give the row of a stage's review table; its first field is ``team``."""

    def judge(self, stage: str, score: Score, review: Mapping[str, Any]) -> Score:
        """Add the experts' word to a computed score; most stages only pass or disqualify."""
        return score

    def entered(self, review: Mapping[str, Any]) -> Entered:
        """Score a result that organizers entered.

        Raises:
            UsageError: ``RESULTS_NOT_ENTERED`` where the rulebook has no such stage.
        """
        raise UsageError(
            "RESULTS_NOT_ENTERED", "The rules of this track have no stage whose results are entered.",
            "Remove 'results: entered' from the stage.",
        )  # fmt: skip

    @abstractmethod
    def open_data(self, ref: StageRef) -> str | None:
        """Name the dataset that participants receive."""

    def hand_out(self, data: Path, folder: Path) -> None:
        """Copy into a new folder what participants may see of the open data."""
        shutil.copytree(data, folder, ignore=shutil.ignore_patterns(MANIFEST))

    def kit_facts(self, stage: str) -> dict[str, Any]:
        """Give what ``stage.json`` of a kit says beside the stage's name, rules and limits."""
        return {}

    def write_surrogate(self, package: Path, folder: Path) -> None:
        """Write a model that participants may attack in the open into a kit, as one file or two.

        Raises:
            UsageError: ``KIT_SURROGATE`` where the rulebook hands out none.
        """
        raise UsageError(
            "KIT_SURROGATE", f"The rules of this track hand out no model, {package.name} neither.",
            "Remove surrogates from the stage.",
        )  # fmt: skip

    def add_to_kit(self, stage: str, folder: Path) -> None:  # noqa: B027 - most kits need nothing more
        """Add to a kit what follows from its open data, such as a task to practise on."""

    def image_limits(self, limits: Mapping[str, Any]) -> ImageLimits | None:
        """Give the caps on a submitted image, or nothing where submissions are files."""
        return None

    @abstractmethod
    def check(
        self, file: Path, stage: str, limits: Mapping[str, Any], data: Path, scratch: Path, tick: Tick
    ) -> Checkup:
        """Check a submission offline, by the same code as :meth:`validate`.

        Args:
            file: The submission.
            stage: Name of the stage without its track.
            limits: The stage's limits.
            data: The open data, as it lies in a kit's :attr:`kit_folder`.
            scratch: An empty folder.
            tick: Told of progress.
        """

    @abstractmethod
    def prepare(self, bench: Workbench, version: Version, say: Callable[[dict[str, Any]], None]) -> None:
        """Compute once what every submission of a stage is compared with."""

    @abstractmethod
    def validate(self, bench: Workbench, plan: Plan, archive: Path, checked: Checked) -> Findings:
        """Check a submission and keep what counts of it."""

    def perturb(self, bench: Workbench, version: Version) -> dict[str, Any]:
        """Compute, once for all submissions, the attacked images that a program is shown; tells what was computed.

        Raises:
            PlatformError: ``TRACK_PERTURBS_NOTHING`` where programs are shown clean images alone.
        """
        raise PlatformError("TRACK_PERTURBS_NOTHING", f"{version.rules} perturbs no image.", "Mend the pipeline.")

    def run(self, bench: Workbench, plan: Plan, archive: Path, kept: Checked) -> Findings:
        """Run a participant's program in the sandbox, and keep what it said and the record of the run.

        Raises:
            PlatformError: ``TRACK_RUNS_NO_PROGRAM`` where submissions are no programs.
        """
        raise PlatformError("TRACK_RUNS_NO_PROGRAM", f"{plan.version.rules} runs no program.", "Mend the pipeline.")

    def query(self, bench: Workbench, plan: Plan, checked: Checked, answers: Path, remember: Remember) -> None:
        """Ask every victim about what was kept; writes the answers.

        Raises:
            PlatformError: ``TRACK_ASKS_NO_VICTIM`` where nothing is asked.
        """
        raise PlatformError("TRACK_ASKS_NO_VICTIM", f"{plan.version.rules} asks no victim.", "Mend the pipeline.")

    @abstractmethod
    def score(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> Score:
        """Turn the answers into the score, its interval and its parts."""

    @abstractmethod
    def told(self, bench: Workbench, version: Version, checked: Checked) -> Told:
        """Gather what the team may know and see."""

    @abstractmethod
    def evidence(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> "pd.DataFrame":
        """Give the organizers' view: every victim's answer to every item."""
