"""The way of a submission that holds pictures: checked, shown to victims, scored, published."""

from kfp import dsl

from components.compute_metrics.component import compute_metrics
from components.ingest_submission.component import ingest_submission
from components.publish_result.component import publish_result
from components.query_victims.component import query_victims
from components.validate_submission.component import validate_submission


def evaluate_pictures(run_key: str) -> None:
    """Lay out the tasks of one run inside a pipeline.

    Args:
        run_key: Names the submission and everything it is scored with; the ledger holds the plan.
    """
    ingested = ingest_submission(run_key=run_key)
    checked = validate_submission(run_key=run_key, archive=ingested.outputs["archive"])
    kept = {name: checked.outputs[name] for name in ("content", "verdicts")}
    findings = checked.outputs["findings"]
    # Only ever branch on our own words: locally the condition is evaluated as text.
    with dsl.If(checked.outputs["Output"] == "accepted"):
        queried = query_victims(run_key=run_key, **kept)
        scored = compute_metrics(run_key=run_key, answers=queried.outputs["answers"], **kept)
        publish_result(run_key=run_key, scores=scored.outputs["scores"], findings=findings, **kept)
    with dsl.Else():
        publish_result(run_key=run_key, findings=findings, **kept)
