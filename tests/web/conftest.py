"""A board with everything that strains a page, and the distribution's Chromium to look at it."""

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from aisc.leaderboard.board import Board, Bound, Measure, build_board
from aisc.leaderboard.entry import Entry, Interval, Part, Past
from aisc.leaderboard.page import Link, Links, Listed, render_board, render_index

START = datetime(2022, 4, 1, 8, 0, tzinfo=UTC)
NAMES = [
    "Tsinghua TSAIL",
    "<script>window.pwned=1</script>",
    '<img src=x onerror="window.pwned=2">',
    "北京大学对抗小组",
    "Équipe Éléphant",
    "فريق الأمان",
    "קבוצת אבטחה",
    "Łódź Vision Łab",
    "команда Щит",
    "ทีมความปลอดภัย",
    "Perturbateurs sans frontières: a joint team of three universities and one very patient cluster administrator",
    "W" * 60,
    '=HYPERLINK("http://x")',
    "O'Hara & Söhne",
    "\u202etxet desrever",
    "Zoë\u0301\u0301\u0301\u0301",
    "🛡️ gradient guards 🧿",
    "null",
    "team-7",
    "Team 7",
    "Team 10",
    "patchwork",
    "Five Regions",
    "L∞ and beyond",
    "SafeAI Lab",
    "Blind Spot",
    "masked & aligned",
    "epsilon",
    "no free lunch",
    "Kernel Panic",
    "argmax",
    "Deep Freeze",
    "OKO",
    "halcyon",
    "mirage",
    "Vermeer's Girl",
    "{{ 7*7 }}",
    "javascript:alert(1)",
    "a",
    "Ω",
]
UNRANKED = [
    ("Nightly Build", "failed", "TIMEOUT", "The program was stopped after 4 hours.", None),
    ("<b>bold</b>", "refused", "ZIP_PATH_ESCAPE", "The archive names ../0001.png, which is outside of it.", None),
    ("Open Source Friends", "disqualified", "REVIEW_COPY", "Identical to a published resource.", None),
    ("Late Bloomers", "awaiting-review", "REVIEW_PENDING", "Experts have not judged it yet.", 0.591234),
    ("Void Where Prohibited", "void", "PATCH_REGIONS", "More than 5 connected regions.", None),
    ("Gone Fishing", "withdrawn", "WITHDRAWN", "The team took it back.", None),
]  # fmt: skip


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


BOUND = Bound(
    stage="face/preliminary",
    rules="face-verification-patch",
    data={"faces/pairs": sha("pairs")},
    victims={name: sha(name) for name in ("irse", "mobile", "vgg")},
    limits={"patches": 5, "area": 0.1, "connectivity": 4},
    seed=20220401,
    code="9f2c41d07be35a86",
)


def make_entries() -> list[Entry]:
    draw = random.Random(7)
    entries: list[Entry] = []
    for place, team in enumerate(NAMES):
        hits = max(3, 5714 - 128 * place - draw.randrange(90))
        if place in (4, 9, 10):  # two ties, one of them at the cut of ten
            hits = round(entries[-1].score * 9000)
        score = hits / 9000
        wide = 0.016 if place % 5 else 0.034
        share = [min(1.0, max(0.0, score + draw.gauss(0, 0.06))) for _ in range(2)]
        sent = START + timedelta(hours=9 * place + draw.randrange(200))
        earlier = draw.randrange(0, 9) if place else 12
        entries.append(
            Entry(
                team=team,
                submission=f"s-{place:04d}",
                state="scored",
                score=score,
                interval=Interval(max(0.0, score - wide), min(1.0, score + wide)),
                version=BOUND.sha256,
                parts=(
                    Part("irse", share[0]),
                    Part("mobile", share[1]),
                    Part("vgg", min(1.0, max(0.0, 3 * score - sum(share)))),
                    Part("legal images", 3000 - draw.randrange(40) * (place % 3)),
                    Part("clean accepts", 11),
                ),
                submitted_at=sent,
                evaluated_at=sent + timedelta(minutes=21),
                submissions=earlier + 1,
                history=tuple(
                    Past(sent - timedelta(hours=11 * (earlier - k)), score * (0.35 + 0.6 * (k + draw.random()) / 9))
                    for k in range(earlier)
                ),
                flags=("awaiting review",) if place == 2 else (),
            )
        )
    for team, state, code, reason, score in UNRANKED:
        version = BOUND.sha256 if score else ""
        entries.append(
            Entry(team=team, submission="u-" + code, state=state, submitted_at=START, reason_code=code, reason=reason,
                  score=score, version=version)
        )  # fmt: skip
    return entries


def make_board(entries: list[Entry] | None = None, **changes: Any) -> Board:
    given: dict[str, Any] = {
        "season": "aisc-2022-dev",
        "track": "face",
        "stage": "preliminary",
        "title": "Face recognition, preliminary",
        "version": BOUND,
        "measure": Measure(name="attack success rate"),
        "entries": make_entries() if entries is None else entries,
        "generated_at": START + timedelta(days=30),
        "top": 10,
    }
    return build_board(**(given | changes))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index, a full board and an empty one."""
    folder = tmp_path_factory.mktemp("site")
    first = make_board()
    board = make_board(previous=first)
    links = Links(
        files=(Link("board.json", "board.json"), Link("board.csv", "board.csv"), Link("signature", "board-0002.sig")),
        previous=(Link("1", "board-0001.html"),),
        home="index.html",
    )
    (folder / "board.html").write_text(render_board(board, links=links, key_fingerprint="SHA256:" + "k" * 43))
    (folder / "board.json").write_bytes(board.as_bytes())
    empty = make_board([], title="Face recognition, final", stage="final")
    (folder / "empty.html").write_text(render_board(empty))
    listed = [Listed(board, "board.html"), Listed(empty, "empty.html")]
    (folder / "index.html").write_text(render_index(listed, title="AISC 2022"))
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """The folder served on loopback, so that a page's requests can be counted."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; skips where there is none."""
    path = which("chromium") or which("chromium-browser")
    if path is None:
        pytest.skip("chromium not installed: run 'make services'")
    with sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield started
        started.close()


class Visit:
    """An open page and everything suspicious that it did."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.noise: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.noise.append(message.text))
        page.on("pageerror", lambda error: self.noise.append(str(error)))
        page.on("dialog", lambda dialog: (self.noise.append(f"dialog {dialog.message}"), dialog.dismiss()))


@pytest.fixture
def visit(browser: Browser, address: str) -> Callable[..., Any]:
    """Open a page of the site in a fresh browser context; give the page and everything suspicious that it did."""

    @contextmanager
    def opened(name: str, *, width: int = 1280, height: int = 900, **context: Any) -> Iterator[Visit]:
        with browser.new_context(viewport={"width": width, "height": height}, **context) as fresh:
            seen = Visit(fresh.new_page())
            seen.page.goto(f"{address}/{name}")
            yield seen

    return opened
