"""Bring the submission's archive to the run, exactly as it was received."""

from pathlib import Path

from aisc.errors import PlatformError
from aisc.identity import Plan
from aisc.stages.once import once
from aisc.workbench import Workbench


def ingest_submission(bench: Workbench, run_key: str, *, archive: Path) -> None:
    """Fetch the archive and compare it with the receipt.

    Args:
        bench: Ledger, store and cache.
        run_key: The run.
        archive: Where the archive goes.

    Raises:
        PlatformError: ``RECEIPT_MISMATCH`` when the store gives other bytes than were received.
    """

    def work(plan: Plan) -> None:
        # The store has compared what it read with this digest already; no need to read the archive again.
        if bench.store.fetch(plan.submission.key, archive).sha256 != plan.submission.sha256:
            raise PlatformError(
                "RECEIPT_MISMATCH",
                f"Submission {plan.submission.name} in the store is not the file that was received.",
                "Look into the store's integrity; the team's attempt is given back.",
            )

    once(bench, run_key, "ingest_submission", {}, work)
    if not archive.exists():
        bench.store.fetch(bench.ledger.runs.plan(run_key).submission.key, archive)
