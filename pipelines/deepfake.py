"""One submission to the deepfake track, from receipt to verdict: a program that runs in the sandbox."""

from kfp import dsl

from components.compute_metrics.component import compute_metrics
from components.ingest_submission.component import ingest_submission
from components.publish_result.component import publish_result
from components.run_submission.component import run_submission
from components.validate_submission.component import validate_submission


@dsl.pipeline(name="deepfake", description="Evaluate one submission to the deepfake track.")
def deepfake(run_key: str) -> None:
    """Evaluate one submission.

    Args:
        run_key: Names the submission and everything it is scored with; the ledger holds the plan.
    """
    ingested = ingest_submission(run_key=run_key)
    archive = ingested.outputs["archive"]
    checked = validate_submission(run_key=run_key, archive=archive)
    # Only ever branch on our own words: locally the condition is evaluated as text.
    with dsl.If(checked.outputs["Output"] == "accepted"):
        ran = run_submission(run_key=run_key, archive=archive)
        said = {name: ran.outputs[name] for name in ("content", "verdicts")}
        with dsl.If(ran.outputs["Output"] == "completed"):
            scored = compute_metrics(run_key=run_key, answers=ran.outputs["content"], **said)
            publish_result(run_key=run_key, scores=scored.outputs["scores"], findings=ran.outputs["findings"], **said)
        with dsl.Else():
            publish_result(run_key=run_key, findings=ran.outputs["findings"], **said)
    with dsl.Else():
        kept = {name: checked.outputs[name] for name in ("content", "verdicts", "findings")}
        publish_result(run_key=run_key, **kept)
