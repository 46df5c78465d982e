"""What happened and who decided: teams, receipts, runs, scores, reviews, publications."""

from aisc.ledger.database import Database
from aisc.ledger.ledger import Ledger, open_ledger

__all__ = ["Database", "Ledger", "open_ledger"]
