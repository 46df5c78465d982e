"""A tournament's matrix in a real browser: legible in both themes, inside the page at any width, long names cut."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aisc.leaderboard.board import Measure, build_board
from aisc.leaderboard.entry import Entry
from aisc.leaderboard.matrix import Matrix
from aisc.leaderboard.page import render_board
from tests.web.conftest import BOUND, NAMES, START
from tests.web.test_board_page import OVERFLOW

Visit = Callable[..., Any]
PAGE = "tournament.html"

CONTRAST = """() => {
  const linear = c => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const rgb = s => s.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  let worst = 99;
  for (const cell of document.querySelectorAll('.matrix g.cell')) {
    const text = cell.querySelector('text');
    if (!text) continue;
    const ground = rgb(getComputedStyle(cell.querySelector('.ground')).fill);
    const heat = cell.querySelector('.heat'), share = Number(heat.getAttribute('fill-opacity'));
    const over = rgb(getComputedStyle(heat).fill).map((c, i) => share * c + (1 - share) * ground[i]);
    const ink = light(rgb(getComputedStyle(text).fill)), paper = light(over);
    worst = Math.min(worst, (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05));
  }
  return worst;
}"""
TOO_WIDE = """[...document.querySelectorAll('.matrix .side')].filter(each => {
  const box = each.getBoundingClientRect(), room = each.parentElement.getBoundingClientRect();
  return box.right > room.right + 1 || box.left < room.left - 1 || box.bottom > room.bottom + 1;
}).length"""


@pytest.fixture(scope="module", autouse=True)
def tournament(site: Path) -> None:
    """A page of five by five with one gap, and names that strain it."""
    attacks, defences = tuple(NAMES[:5]), ("W" * 60, *NAMES[5:9])
    deltas = tuple(
        tuple(None if (row, column) == (4, 4) else 20.0 * row - 5 * column for column in range(5)) for row in range(5)
    )
    matrix = Matrix(side="attack", attacks=attacks, defences=defences, deltas=deltas)
    entries = [
        Entry(
            team=team,
            submission=f"s-{row}",
            state="scored",
            submitted_at=START,
            score=20.0 * row - 10,
            version=BOUND.sha256,
        )
        for row, team in enumerate(attacks[:4])
    ]
    board = build_board(
        season="dev", track="reid-attack", stage="final", title="Final", version=BOUND, entries=entries, matrix=matrix,
        measure=Measure(name="mean delta, points", digits=3), generated_at=START,
    )  # fmt: skip
    (site / PAGE).write_text(render_board(board))


def test_it_draws_without_a_word_from_the_policy(visit: Visit, address: str) -> None:
    with visit(PAGE) as seen:
        assert [url for url in seen.requests if not url.startswith("data:")] == [f"{address}/{PAGE}"]
        assert seen.noise == []
        assert seen.page.locator(".matrix g.cell").count() == 25
        assert seen.page.locator(".matrix rect[fill='url(#hatch)']").count() == 3
        assert seen.page.evaluate("window.pwned === undefined")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_number_has_the_contrast_that_wcag_asks_for(visit: Visit, scheme: str) -> None:
    with visit(PAGE, color_scheme=scheme) as seen:
        assert seen.page.evaluate(CONTRAST) >= 4.5


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_no_width_scrolls_the_page_sideways_and_names_stay_in_their_place(visit: Visit, width: int) -> None:
    with visit(PAGE, width=width) as seen:
        assert seen.page.evaluate(OVERFLOW) <= 0
        assert seen.page.evaluate(TOO_WIDE) == 0
