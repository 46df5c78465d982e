"""Boards in the store: content-addressed, found through the ledger's chain."""

from aisc.errors import PlatformError
from aisc.leaderboard.board import Board
from aisc.ledger.competition import Publication
from aisc.workbench import Workbench


def board_key(stage: str, sha256: str) -> str:
    """Name a board in the store; its signature lies beside it under ``.sig``."""
    return f"boards/{stage}/{sha256}.json"


def load_board(bench: Workbench, publication: Publication) -> Board:
    """Read a published board; raises ``BOARD_CORRUPT`` when its bytes are not the published ones."""
    board = Board.from_bytes(bench.store.read(board_key(publication.stage, publication.sha256)))
    if board.sha256 != publication.sha256:
        raise PlatformError(
            "BOARD_CORRUPT",
            f"Board {publication.number} of {publication.stage} in the store was changed.",
            "Restore the object from a backup; 'aisc leaderboard verify' shows which boards hold.",
        )
    return board


def latest_board(bench: Workbench, stage: str) -> Board | None:
    """Give the board of a stage published last, if there is one."""
    publication = bench.ledger.publications.latest(stage)
    return None if publication is None else load_board(bench, publication)
