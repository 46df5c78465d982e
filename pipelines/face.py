"""One submission to the face track, from receipt to verdict."""

from kfp import dsl

from pipelines._pictures import evaluate_pictures


@dsl.pipeline(name="face", description="Evaluate one submission to the face track.")
def face(run_key: str) -> None:
    """Evaluate one submission.

    Args:
        run_key: Names the submission and everything it is scored with; the ledger holds the plan.
    """
    evaluate_pictures(run_key)
