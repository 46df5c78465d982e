"""Publishing: whoever races, no board is lost, and the pages show the newest one."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Lock
from typing import Any

import pytest

from aisc.adapters.store_folder import FolderStore
from aisc.errors import PlatformError, UsageError
from aisc.leaderboard.signing import verify_chain
from aisc.ledger import open_ledger
from aisc.stages.boards import board_key, latest_board, load_board
from aisc.stages.publish_leaderboard import PUBLIC_KEY, export_chain, publish_leaderboard
from aisc.stages.rank_stage import Ranking, rank_stage, read_ranking, write_ranking
from aisc.workbench import Workbench

STAGE = "face/preliminary"


def chain_of(world: Any, signing_key: Path) -> Any:
    folder = world.folder / "chain"
    folder.mkdir(exist_ok=True)
    export_chain(world.bench, STAGE, folder)
    return verify_chain(folder, signing_key.with_name(PUBLIC_KEY))


def test_boards_follow_each_other_and_the_same_again_is_not_published(world: Any, signing_key: Path) -> None:
    world.scored("A", 0.5)
    rows = rank_stage(world.bench, world.season, STAGE)
    first = publish_leaderboard(world.bench, world.season, STAGE, rows, signing_key)
    world.clock.advance(hours=1)
    assert publish_leaderboard(world.bench, world.season, STAGE, rows, signing_key) == first
    world.scored("B", 0.7)
    rows = rank_stage(world.bench, world.season, STAGE)
    second = publish_leaderboard(world.bench, world.season, STAGE, rows, signing_key)
    assert (first.number, second.number, second.previous_sha256) == (1, 2, first.sha256)
    assert [row.entry.team for row in second.ranked] == ["B", "A"]
    report = chain_of(world, signing_key)
    assert (report.ok, report.boards, report.head_sha256) == (True, 2, second.sha256)
    page = json.loads(world.bench.store.read(f"site/{STAGE}/board.json"))
    assert page["number"] == 2
    assert b"B" in world.bench.store.read(f"site/{STAGE}/index.html")
    assert {f"site/{STAGE}/board-000{number}.html" for number in (1, 2)} <= {
        one.key for one in world.bench.store.list("site/")
    }


RACERS, TRIALS = 2, 6


def test_F09_publishers_race_and_no_score_is_lost(world: Any, signing_key: Path) -> None:
    """T54 as well. Who loses a race ranks anew, so a ranking from before never ends up on top of a later one."""
    start, one_at_a_time = Barrier(RACERS), Lock()
    ledgers = [open_ledger(world.bench.ledger.database.url, clock=world.clock) for _ in range(RACERS)]

    def publish(who: int) -> None:
        bench = Workbench(ledgers[who], FolderStore(world.folder / "store"), world.folder / f"cache {who}")
        for trial in range(TRIALS):
            with one_at_a_time:
                world.scored(f"Team {who} {trial}", (1 + trial + TRIALS * who) / 100)
            rows = rank_stage(bench, world.season, STAGE)
            start.wait()
            publish_leaderboard(bench, world.season, STAGE, rows, signing_key)

    with ThreadPoolExecutor(RACERS) as pool:
        list(pool.map(publish, range(RACERS)))
    for ledger in ledgers:
        ledger.close()
    chain = world.bench.ledger.publications.all(STAGE)
    boards = [load_board(world.bench, publication) for publication in chain]
    assert [board.number for board in boards] == list(range(1, len(boards) + 1))
    assert len(boards) >= TRIALS
    sizes = [len(board.ranked) for board in boards]
    assert sizes == sorted(sizes)
    assert sizes[-1] == RACERS * TRIALS
    assert chain_of(world, signing_key).ok
    assert world.bench.store.read(f"site/{STAGE}/board.json") == boards[-1].as_bytes()
    for board in boards:
        assert world.bench.store.read(f"site/{STAGE}/board-{board.number:04d}.json") == board.as_bytes()


def test_T54_an_edited_board_is_found(world: Any, signing_key: Path) -> None:
    world.scored("A", 0.5)
    rows = rank_stage(world.bench, world.season, STAGE)
    board = publish_leaderboard(world.bench, world.season, STAGE, rows, signing_key)
    stored = world.folder / "store" / board_key(STAGE, board.sha256)
    content = stored.resolve()
    content.chmod(0o644)
    content.write_bytes(board.as_bytes().replace(b"0.5", b"0.9"))
    with pytest.raises(PlatformError) as caught:
        latest_board(world.bench, STAGE)
    assert caught.value.code in ("BOARD_CORRUPT", "STORE_CORRUPT")


def test_a_stage_that_was_never_swept_is_not_published(world: Any, signing_key: Path) -> None:
    with pytest.raises(UsageError, match=r"^STAGE_NOT_SWEPT"):
        publish_leaderboard(world.bench, world.season, STAGE, Ranking(0, []), signing_key)
    assert latest_board(world.bench, STAGE) is None


def test_rows_travel_between_components_unchanged(world: Any, tmp_path: Path) -> None:
    world.scored("Ämter & Söhne", 1 / 3, 2 / 3)
    world.scored("B", None)
    rows = rank_stage(world.bench, world.season, STAGE)
    write_ranking(tmp_path / "rows.json", rows)
    assert read_ranking(tmp_path / "rows.json") == rows
