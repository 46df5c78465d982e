"""The ways of a submission that is a program: it alters pictures, or it answers about them."""

from kfp import dsl

from components.compute_metrics.component import compute_metrics
from components.ingest_submission.component import ingest_submission
from components.perturb_images.component import perturb_images
from components.publish_result.component import publish_result
from components.query_victims.component import query_victims
from components.run_submission.component import run_submission
from components.validate_submission.component import validate_submission


def evaluate_attack(run_key: str) -> None:
    """Lay out the tasks of one attack: its images are shown to the baseline.

    Args:
        run_key: Names the submission and everything it is scored with; the ledger holds the plan.
    """
    archive = ingest_submission(run_key=run_key).outputs["archive"]
    checked = validate_submission(run_key=run_key, archive=archive)
    # Only ever branch on our own words: locally the condition is evaluated as text.
    with dsl.If(checked.outputs["Output"] == "accepted"):
        ran = run_submission(run_key=run_key, archive=archive)
        made = {name: ran.outputs[name] for name in ("content", "verdicts")}
        findings = ran.outputs["findings"]
        with dsl.If(ran.outputs["Output"] == "completed"):
            queried = query_victims(run_key=run_key, **made)
            scored = compute_metrics(run_key=run_key, answers=queried.outputs["answers"], **made)
            publish_result(run_key=run_key, scores=scored.outputs["scores"], findings=findings, **made)
        with dsl.Else():
            publish_result(run_key=run_key, findings=findings, **made)
    with dsl.Else():
        kept = {name: checked.outputs[name] for name in ("content", "verdicts", "findings")}
        publish_result(run_key=run_key, **kept)


def evaluate_answers(run_key: str, *, perturbed: bool = False) -> None:
    """Lay out the tasks of one program that answers about pictures.

    Args:
        run_key: Names the submission and everything it is scored with; the ledger holds the plan.
        perturbed: Whether it is shown pictures that must be attacked first.
    """
    archive = ingest_submission(run_key=run_key).outputs["archive"]
    checked = validate_submission(run_key=run_key, archive=archive)
    with dsl.If(checked.outputs["Output"] == "accepted"):
        before = [perturb_images(run_key=run_key)] if perturbed else []
        ran = run_submission(run_key=run_key, archive=archive).after(*before)
        said = {name: ran.outputs[name] for name in ("content", "verdicts")}
        findings = ran.outputs["findings"]
        with dsl.If(ran.outputs["Output"] == "completed"):
            scored = compute_metrics(run_key=run_key, answers=ran.outputs["content"], **said)
            publish_result(run_key=run_key, scores=scored.outputs["scores"], findings=findings, **said)
        with dsl.Else():
            publish_result(run_key=run_key, findings=findings, **said)
    with dsl.Else():
        kept = {name: checked.outputs[name] for name in ("content", "verdicts", "findings")}
        publish_result(run_key=run_key, **kept)
