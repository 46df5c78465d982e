"""One submission to the tracks of face attributes, from receipt to verdict."""

from kfp import dsl

from pipelines._programs import evaluate_answers, evaluate_attack


@dsl.pipeline(name="attributes-attack", description="Evaluate one submission to the attributes-attack track.")
def attributes_attack(run_key: str) -> None:
    """Evaluate one attack.

    Args:
        run_key: Names the submission and everything it is scored with; the ledger holds the plan.
    """
    evaluate_attack(run_key)


@dsl.pipeline(name="attributes-defence", description="Evaluate one submission to the attributes-defence track.")
def attributes_defence(run_key: str) -> None:
    """Evaluate one defence.

    Args:
        run_key: Names the submission and everything it is scored with; the ledger holds the plan.
    """
    evaluate_answers(run_key, perturbed=True)
