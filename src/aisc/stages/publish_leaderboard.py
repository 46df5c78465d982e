"""Append a board to its stage's chain, sign it, and lay out the pages."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from aisc.errors import TransientError, UsageError
from aisc.leaderboard.board import Board, Bound, build_board
from aisc.leaderboard.page import Link, Links, Listed, render_board, render_index
from aisc.leaderboard.sheet import as_csv
from aisc.leaderboard.signing import ChainProblem, fingerprint, sign
from aisc.ledger.competition import Publication
from aisc.season import Season, StageRef
from aisc.stages.boards import board_key, latest_board, load_board
from aisc.stages.rank_stage import Ranking, measure, rank_stage
from aisc.stages.sweep_stage import run_command
from aisc.workbench import Workbench

PUBLIC_KEY = "board-key.pub.pem"
CURRENT = "board"
CONTENT_TYPES = {"json": "application/json", "csv": "text/csv", "sig": "application/octet-stream"}


def publish_leaderboard(bench: Workbench, season: Season, stage: str, ranking: Ranking, key: Path) -> Board:
    """Publish a stage's board, unless the last one says the same.

    The board's bytes are stored first, under their digest; the ledger then takes the number by compare-and-swap; the
    pages follow and can be laid out again at any time. Of two publishers at once one wins; the other ranks anew and
    builds on it, so that no older ranking ends up on top of a newer one.

    Args:
        bench: Ledger, store and cache.
        season: The season.
        stage: ``track/stage``.
        ranking: The rows; gathered anew where another board was published since.
        key: Private signing key; the public half lies beside it.

    Returns:
        The stage's latest board.
    """
    ref = season.stage(stage)
    for attempt in Retrying(
        retry=retry_if_exception_type(TransientError),
        stop=stop_after_attempt(20),
        wait=wait_random_exponential(multiplier=0.05, max=2),
        reraise=True,
    ):
        with attempt:
            first = attempt.retry_state.attempt_number == 1
            _append(bench, season, ref, ranking if first else rank_stage(bench, season, stage), key)
    return lay_out(bench, season, ref, key.with_name(PUBLIC_KEY))


def _append(bench: Workbench, season: Season, ref: StageRef, ranking: Ranking, key: Path) -> None:
    """Append the next board to its chain; raises ``BOARD_RACE`` when another publisher was faster."""
    stage = ref.path
    version = bench.ledger.stages.pinned(stage)
    if version is None:
        raise UsageError(
            "STAGE_NOT_SWEPT", f"Nothing of {stage} was evaluated yet.", f"Run '{run_command(ref)}' first."
        )
    previous = latest_board(bench, stage)
    if ranking.after != (previous.number if previous else 0):
        raise TransientError("BOARD_RACE", f"{stage} has another board since its rows were gathered.", "Rank it anew.")
    board = build_board(
        season=season.season,
        track=ref.track,
        stage=ref.name,
        title=f"{season.title}: {stage}",
        version=Bound.of(version),
        measure=measure(ref),
        entries=ranking.rows,
        generated_at=bench.ledger.now(),
        previous=previous,
        top=ref.stage.advance.top if ref.stage.advance else None,
        matrix=ranking.matrix,
    )
    if previous is not None and _says_the_same(previous, board):
        return
    bench.store.put(board_key(stage, board.sha256), board.as_bytes())
    bench.store.put(signature_key(stage, board.sha256), sign(board.as_bytes(), key))
    bench.ledger.publications.append(stage, board.number, board.sha256, board.previous_sha256 or None, version.sha256)


def signature_key(stage: str, sha256: str) -> str:
    """Name a board's signature in the store."""
    return board_key(stage, sha256).removesuffix(".json") + ".sig"


def lay_out(bench: Workbench, season: Season, ref: StageRef, public_key: Path) -> Board:
    """Write the pages of a stage and the index from what is published; gives the board that they show."""
    while True:
        chain = bench.ledger.publications.all(ref.path)
        folder = f"site/{ref.path}"
        names = [f"board-{publication.number:04d}" for publication in chain]
        for position, publication in enumerate(chain):
            if differing_files(bench, publication, names[position]):
                _lay_out_board(bench, publication, f"{folder}/{names[position]}", names[:position], public_key)
        bench.store.replace(f"{folder}/{PUBLIC_KEY}", public_key.read_bytes())
        for suffix in ("json", "csv"):
            data = bench.store.read(f"{folder}/{names[-1]}.{suffix}")
            bench.store.replace(f"{folder}/{CURRENT}.{suffix}", data, content_type=CONTENT_TYPES[suffix])
        page = bench.store.read(f"{folder}/{names[-1]}.html")
        bench.store.replace(f"{folder}/index.html", page, content_type="text/html")
        bench.store.replace("site/index.html", _index(bench, season), content_type="text/html")
        if bench.ledger.publications.all(ref.path) == chain:
            return load_board(bench, chain[-1])


def export_chain(bench: Workbench, stage: str, target: Path) -> None:
    """Write every board of a stage with its signature into a folder, as ``verify_chain`` reads them."""
    for publication in bench.ledger.publications.all(stage):
        name = target / f"board-{publication.number:04d}"
        name.with_suffix(".json").write_bytes(bench.store.read(board_key(stage, publication.sha256)))
        name.with_suffix(".sig").write_bytes(bench.store.read(signature_key(stage, publication.sha256)))


def check_site(bench: Workbench, stage: str) -> list[ChainProblem]:
    """Compare the published board files and tables of a stage with what was signed."""
    chain = bench.ledger.publications.all(stage)
    differing = [
        key for publication in chain for key in differing_files(bench, publication, f"board-{publication.number:04d}")
    ]
    differing += differing_files(bench, chain[-1], CURRENT, ("json", "csv")) if chain else []
    text = f"the published file is not what was signed; 'aisc leaderboard publish {stage}' mends it."
    return [ChainProblem(key, "SITE_DIFFERS", text) for key in differing]


def differing_files(
    bench: Workbench, publication: Publication, name: str, suffixes: Sequence[str] = ("json", "csv", "sig")
) -> list[str]:
    """Name the published files of a board that are missing or not what follows from the signed board."""
    signed = _signed_files(bench, publication)
    keys = {f"site/{publication.stage}/{name}.{suffix}": signed[suffix] for suffix in suffixes}
    return [key for key, data in keys.items() if bench.store.stat(key) is None or bench.store.read(key) != data]


def _signed_files(bench: Workbench, publication: Publication) -> dict[str, bytes]:
    """Give a board's files by suffix; the signature is last, and so it is when they are laid out."""
    board = load_board(bench, publication)
    signature = bench.store.read(signature_key(publication.stage, publication.sha256))
    return {"json": board.as_bytes(), "csv": as_csv(board).encode(), "sig": signature}


def _says_the_same(previous: Board, board: Board) -> bool:
    """Compare all but a board's place in the chain and its time."""
    same_place = replace(
        board,
        number=previous.number,
        previous_sha256=previous.previous_sha256,
        generated_at=previous.generated_at,
    )
    return same_place == previous


def _lay_out_board(
    bench: Workbench, publication: Publication, name: str, earlier: Sequence[str], public_key: Path
) -> None:
    board = load_board(bench, publication)
    own = name.rpartition("/")[2]
    files = (
        Link("board.json", f"{own}.json"),
        Link("board.csv", f"{own}.csv"),
        Link("signature", f"{own}.sig"),
        Link("public key", PUBLIC_KEY),
    )
    previous = tuple(
        Link(f"Board {int(before.removeprefix('board-'))}", f"{before}.html") for before in reversed(earlier)
    )
    links = Links(files=files, previous=previous, home="../../index.html")
    page = render_board(board, links=links, key_fingerprint=fingerprint(public_key))
    bench.store.replace(f"{name}.html", page.encode(), content_type="text/html")
    for suffix, data in _signed_files(bench, publication).items():
        bench.store.replace(f"{name}.{suffix}", data, content_type=CONTENT_TYPES[suffix])


def _index(bench: Workbench, season: Season) -> bytes:
    listed = [
        Listed(board, f"{ref.path}/index.html")
        for ref in season.stages()
        if (board := latest_board(bench, ref.path)) is not None
    ]
    return render_index(listed, title=season.title).encode()
