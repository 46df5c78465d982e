"""One submission to the tracks of targeted face re-identification, from receipt to verdict."""

from kfp import dsl

from pipelines._programs import evaluate_answers, evaluate_attack


@dsl.pipeline(name="reid-attack", description="Evaluate one submission to the reid-attack track.")
def reid_attack(run_key: str) -> None:
    """Evaluate one attack.

    Args:
        run_key: Names the submission and everything it is scored with; the ledger holds the plan.
    """
    evaluate_attack(run_key)


@dsl.pipeline(name="reid-defence", description="Evaluate one submission to the reid-defence track.")
def reid_defence(run_key: str) -> None:
    """Evaluate one defence.

    Args:
        run_key: Names the submission and everything it is scored with; the ledger holds the plan.
    """
    evaluate_answers(run_key, perturbed=True)
