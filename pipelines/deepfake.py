"""One submission to the deepfake track, from receipt to verdict: a program that runs in the sandbox."""

from kfp import dsl

from pipelines._programs import evaluate_answers


@dsl.pipeline(name="deepfake", description="Evaluate one submission to the deepfake track.")
def deepfake(run_key: str) -> None:
    """Evaluate one submission.

    Args:
        run_key: Names the submission and everything it is scored with; the ledger holds the plan.
    """
    evaluate_answers(run_key)
