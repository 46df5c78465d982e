"""One defence on one set of pictures: a cell of a tournament, or the clean pass that all its cells are compared with.

What a cell is worth is how right the defence still is; what the attack took from it follows from two cells, its own and
the clean one, and is told where the board is made.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from aisc.evaluations.contract import Checked, Told, Void
from aisc.evaluations.programs import prove_sandbox, read_record
from aisc.evaluations.safair import SafairEvaluation
from aisc.evaluations.safair_answers import answer_batch
from aisc.evaluations.safair_inputs import Hidden
from aisc.evaluations.safair_sets import SET, PictureSet, open_set, set_batch
from aisc.identity import Plan, Version
from aisc.ledger.runs import Score
from aisc.metrics.accuracy_delta import accuracy, people_right
from aisc.metrics.bootstrap import mean_interval
from aisc.submission.findings import Findings
from aisc.submission.predictions import Answers
from aisc.tracks.safair import TOO_LOW, SafairScore, rightness, skipped_as_right, stands
from aisc.tracks.safair_limits import DefenceLimits
from aisc.workbench import Workbench

if TYPE_CHECKING:
    import pandas as pd

CLEAN_ACCURACY: Final = "clean accuracy"


class SafairMatchEvaluation(SafairEvaluation):
    """Rulebook ``safair-match``: no track is of it; the finals of defences are evaluated by it, run by run."""

    limits_type: ClassVar[type[DefenceLimits]] = DefenceLimits
    evidence_files: ClassVar[Mapping[str, tuple[str, str]]] = {
        "content": ("run_submission", "content"),
        "verdicts": ("run_submission", "verdicts"),
        "answers": ("run_submission", "content"),
    }

    def measure(self, stage: str, *, entered: bool = False) -> str:
        """Tell how right the defence is on the one set."""
        return "accuracy, points"

    def void(self, score: Score, limits: Mapping[str, Any]) -> Void | None:
        """Leave out a defence that errs too often on clean images: it has little to lose."""
        known = DefenceLimits.model_validate(limits)
        if CLEAN_ACCURACY not in score.parts or stands(score.value, known):
            return None
        text = f"{score.value:.1f} points of accuracy on clean images are below the floor of {known.floor:g}."
        return Void(TOO_LOW, text)

    def prepare(self, bench: Workbench, version: Version, say: Callable[[dict[str, Any]], None]) -> None:
        """Lay out the set and prove the sandbox."""
        found = open_set(bench, version)
        say({"images": len(found.pictures), "images that count": int(found.counted.sum())})
        set_batch(bench, version)
        prove_sandbox(bench, version, DefenceLimits.model_validate(version.limits), say)

    def run(self, bench: Workbench, plan: Plan, archive: Path, kept: Checked) -> Findings:
        """Run the defence on the set, read its table, and ask it again about a sample in other company.

        Content is ``.npz``: ``values`` int64 (1, n, columns) and ``answered`` bool (1, n); verdicts the record, JSON.
        """
        found, batch = open_set(bench, plan.version), set_batch(bench, plan.version)
        kept.content.write_bytes(b"")
        record, findings = answer_batch(
            bench, plan, archive, found.hidden, {SET: found.pictures}, batch, kept, {}, company=found.hidden.pictures
        )
        kept.verdicts.write_text(json.dumps(record, indent=2))
        return findings

    def delta(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> SafairScore:
        """Score the accuracy; an image without an answer is failed (rule 6), one that does not count right (rule 7)."""
        found, limits = open_set(bench, version), DefenceLimits.model_validate(version.limits)
        said = _answers(answers)
        right = _right(found, said, limits)
        interval = mean_interval(100 * right, seed=version.seed)
        value = accuracy(right)
        parts: dict[str, float | int] = {CLEAN_ACCURACY if found.clean else "accuracy under attack": value}
        if not found.clean:
            parts["images that count"] = int(found.counted.sum())
        if not found.clean and found.hidden.task == "reid":
            parts["target hits, %"] = 100 * float(np.mean(_hits(found.hidden, said) * found.counted))
        parts["failed inputs"] = int(np.count_nonzero(~said.answered & found.counted))
        return SafairScore(value, interval.low, interval.high, parts, right)

    def told(self, bench: Workbench, version: Version, checked: Checked) -> Told:
        """Tell nothing of single images, which are hidden or another team's; say whether the program failed."""
        return Told(failed=read_record(checked.verdicts).get("verdict", "COMPLETED") != "COMPLETED")

    def evidence(self, bench: Workbench, version: Version, checked: Checked, answers: Path) -> "pd.DataFrame":
        """Give one row an image: who is shown, whether it counts, the answer and how right it is."""
        import pandas as pd

        found, limits = open_set(bench, version), DefenceLimits.model_validate(version.limits)
        said = _answers(answers)
        return pd.DataFrame({
            "image": found.hidden.faces.names,
            "person": found.hidden.faces.people,
            "counts": found.counted,
            "answer": [" ".join(map(str, row)) for row in said.values],
            "right": _right(found, said, limits),
        })  # fmt: skip


def rightness_on(bench: Workbench, version: Version, content: Path | None) -> NDArray[np.float64]:
    """Give `(n,)` in [0, 1]: how right a defence is on each image of a set, in the order of the hidden images.

    Args:
        bench: Ledger, store and cache.
        version: Of the match.
        content: What :meth:`SafairMatchEvaluation.run` kept; ``None`` for a defence that failed as a whole, which is
            wrong on every image that counts (rule 6).
    """
    found, limits = open_set(bench, version), DefenceLimits.model_validate(version.limits)
    if content is None:
        return skipped_as_right(np.zeros(len(found.counted)), found.counted)
    return _right(found, _answers(content), limits)


def _right(found: PictureSet, said: Answers, limits: DefenceLimits) -> NDArray[np.float64]:
    return skipped_as_right(rightness(found.hidden.task, said, found.hidden.faces, limits.accuracy), found.counted)


def _hits(hidden: Hidden, said: Answers) -> NDArray[np.float64]:
    return people_right(said.values[:, 0], hidden.faces.goals[:, 0])


def _answers(path: Path) -> Answers:
    with np.load(path) as arrays:
        return Answers(arrays["values"][0], arrays["answered"][0])


EVALUATION = SafairMatchEvaluation()
