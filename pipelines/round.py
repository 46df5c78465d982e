"""One round of a stage: sweep what is pending, evaluate it, rank, decide who advances, publish."""

from kfp import dsl

from components.evaluate_submissions.component import evaluate_submissions
from components.prepare_stage.component import prepare_stage
from components.publish_leaderboard.component import publish_leaderboard
from components.rank_stage.component import rank_stage
from components.sweep_stage.component import sweep_stage


@dsl.pipeline(name="round", description="Evaluate and publish one stage of one track.")
def round(season: str, stage: str, rescore: bool = False) -> None:  # noqa: A001 - the pipeline's name
    """Run a round.

    Args:
        season: Digest of the season, as stored.
        stage: ``track/stage``.
        rescore: Score everything again under the present version.
    """
    swept = sweep_stage(season=season, stage=stage, rescore=rescore)
    prepared = prepare_stage(stage=stage).after(swept)
    evaluated = evaluate_submissions(stage=stage, package=swept.output).after(prepared)
    ranked = rank_stage(season=season, stage=stage).after(evaluated)
    publish_leaderboard(season=season, stage=stage, entries=ranked.outputs["entries"])
