"""Ask every victim about what a submission changed."""

from collections.abc import Callable
from pathlib import Path

from aisc.evaluations import evaluation_of
from aisc.evaluations.contract import Checked
from aisc.identity import Plan
from aisc.stages.once import once
from aisc.workbench import Workbench

STEP = "query_victims"


def query_victims(bench: Workbench, run_key: str, *, content: Path, verdicts: Path, answers: Path) -> None:
    """Show the victims what was kept of a submission.

    A long evaluation goes in parts, each finished once: a retry after a crash asks only what was not answered yet.

    Args:
        bench: Ledger, store and cache.
        run_key: The run.
        content: What the victims see.
        verdicts: The rules' verdicts; what broke them is not shown to a victim.
        answers: Gets the victims' answers.
    """

    def remember(part: str, target: Path, make: Callable[[], None]) -> None:
        once(bench, run_key, f"{STEP}/{part}", {"part": target}, lambda plan: make())

    def work(plan: Plan) -> None:
        evaluation = evaluation_of(plan.version.rules)
        evaluation.query(bench, plan, Checked(content, verdicts), answers, remember)

    once(bench, run_key, STEP, {"answers": answers}, work)
