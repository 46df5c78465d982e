"""Ask a program again, about a sample under other names and in another order: does it answer by chance, or remember?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aisc.datasets.forgery_copies import write_renamed
from aisc.datasets.forgery_sets import Task, open_task
from aisc.evaluations.programs import Outcome
from aisc.sandbox.gates import Answers
from aisc.sandbox.second_pass import check_second_pass, plan_second_pass, table_answers
from aisc.submission.result_tables import ResultReport, ResultTable

Ask = Callable[[Path, Task], tuple[Outcome, ResultReport | None]]


def pass_again(
    inputs: Path, task: Task, table: ResultTable, sample: int, seed: int, scratch: Path, ask: Ask
) -> dict[str, Any]:
    """Run the second pass and compare it with the first (THREATS.md, T45 and T46).

    Args:
        inputs: What the program saw.
        task: The same, opened.
        table: What it said.
        sample: How many probes are shown again.
        seed: Of the sample and of the new names.
        scratch: An empty folder.
        ask: Runs the program.

    Returns:
        For organizers: how many probes were compared, how many differ, by how much, and what was tolerated.
    """
    plan = plan_second_pass(task.probes, task.gallery, seed, sample)
    write_renamed(inputs, scratch / "input", plan.probes, plan.gallery)
    second_task = open_task(scratch / "input")
    outcome, report = ask(scratch / "input", second_task)
    again: Answers = {}
    if report is not None and report.table is not None:
        again = table_answers(report.table, second_task.probes, second_task.gallery)
    first = table_answers(table, task.probes, task.gallery)
    gate = check_second_pass(first, again, plan, ranked=task.description.neighbours)
    return {
        "compared": gate.compared,
        "differing": gate.differing,
        "largest": str(gate.largest),
        "tolerance": {"absolute": gate.tolerance.absolute, "relative": gate.tolerance.relative},
        "verdict": outcome.record["verdict"],
        "findings": [finding.where for finding in gate.findings],
    }
