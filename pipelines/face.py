"""One submission to the face track, from receipt to verdict."""

from kfp import dsl

from components.compute_metrics.component import compute_metrics
from components.ingest_submission.component import ingest_submission
from components.publish_result.component import publish_result
from components.query_victims.component import query_victims
from components.validate_submission.component import validate_submission


@dsl.pipeline(name="face", description="Evaluate one submission to the face track.")
def face(run_key: str) -> None:
    """Evaluate one submission.

    Args:
        run_key: Names the submission and everything it is scored with; the ledger holds the plan.
    """
    ingested = ingest_submission(run_key=run_key)
    checked = validate_submission(run_key=run_key, archive=ingested.outputs["archive"])
    checked_files = {name: checked.outputs[name] for name in ("content", "verdicts", "findings")}
    # Only ever branch on our own words: locally the condition is evaluated as text.
    with dsl.If(checked.outputs["Output"] == "accepted"):
        queried = query_victims(
            run_key=run_key, content=checked.outputs["content"], verdicts=checked.outputs["verdicts"]
        )
        scored = compute_metrics(
            run_key=run_key, verdicts=checked.outputs["verdicts"], answers=queried.outputs["answers"]
        )
        publish_result(run_key=run_key, scores=scored.outputs["scores"], **checked_files)
    with dsl.Else():
        publish_result(run_key=run_key, **checked_files)
