"""The finals of both sides of a task: every attack is run once, every defence on the clean pictures and on each set."""

from kfp import dsl

from components.evaluate_submissions.component import evaluate_submissions
from components.play_matches.component import play_matches
from components.prepare_stage.component import prepare_stage
from components.publish_leaderboard.component import publish_leaderboard
from components.rank_stage.component import rank_stage
from components.sweep_stage.component import sweep_stage
from pipelines._programs import evaluate_answers


@dsl.pipeline(name="match", description="Run one defence on one set of pictures, a cell of a tournament.")
def match(run_key: str) -> None:
    """Evaluate one cell, or a defence's clean pass.

    Args:
        run_key: Names the defence, the set and everything it is scored with; the ledger holds the plan.
    """
    evaluate_answers(run_key)


@dsl.pipeline(name="tournament", description="Hold the finals of both sides of a task and publish both boards.")
def tournament(season: str, attack: str, defence: str, rescore: bool = False) -> None:
    """Hold a tournament, or what is missing of it.

    Args:
        season: Digest of the season, as stored.
        attack: `track/stage` of the attacks' final.
        defence: `track/stage` of the defences' final.
        rescore: Compute everything again under the present versions.
    """
    evaluated = []
    for stage in (attack, defence):
        swept = sweep_stage(season=season, stage=stage, rescore=rescore)
        prepared = prepare_stage(stage=stage).after(swept)
        evaluated.append(evaluate_submissions(stage=stage, package=swept.output).after(prepared))
    played = play_matches(season=season, stage=defence).after(*evaluated)
    for stage in (attack, defence):
        ranked = rank_stage(season=season, stage=stage).after(played)
        publish_leaderboard(season=season, stage=stage, entries=ranked.outputs["entries"])
