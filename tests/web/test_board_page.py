"""The board's page in a real browser: what a reader sees, and what hostile names do not do."""

from collections.abc import Callable
from typing import Any

import pytest

Visit = Callable[..., Any]

TEAMS = "[...document.querySelectorAll('tbody .name')].map(each => each.textContent)"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PAPER = "getComputedStyle(document.body).backgroundColor"


def brightness(colour: str) -> float:
    return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))) / 3


@pytest.mark.parametrize("page", ["board.html", "empty.html", "index.html"])
def test_a_page_makes_one_request_and_no_noise(visit: Visit, address: str, page: str) -> None:
    with visit(page) as seen:
        seen.page.wait_for_timeout(200)
        for button in seen.page.locator("button:visible").all()[:4]:
            button.click()
        assert [url for url in seen.requests if not url.startswith("data:")] == [f"{address}/{page}"]
        assert seen.noise == []


def test_T51_markup_in_names_is_inert(visit: Visit) -> None:
    for page in ("board.html", "index.html"):
        with visit(page) as seen:
            seen.page.wait_for_timeout(200)
            assert seen.page.evaluate("window.pwned") is None
            assert seen.page.evaluate("document.images.length") == 0
            assert seen.page.evaluate("document.scripts.length") == 1
            assert seen.noise == []
    with visit("board.html") as seen:
        assert "<script>window.pwned=1</script>" in seen.page.evaluate(TEAMS)
        assert "{{ 7*7 }}" in seen.page.evaluate(TEAMS)


def test_T51_even_an_injected_script_would_not_run(visit: Visit) -> None:
    with visit("board.html") as seen:
        seen.page.evaluate(
            """() => {
                const script = document.createElement('script');
                script.textContent = 'window.pwned = 3';
                document.body.append(script);
                document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.pwned=4">');
            }"""
        )
        seen.page.wait_for_timeout(200)
        assert seen.page.evaluate("window.pwned") is None
        assert any("Content Security Policy" in line for line in seen.noise)


def values(seen: Any, column: int) -> list[str]:
    return seen.page.evaluate(f"[...document.querySelectorAll('tbody tr')].map(r => r.cells[{column}].dataset.value)")


def test_every_column_sorts_both_ways(visit: Visit) -> None:
    with visit("board.html") as seen:
        before = seen.page.evaluate(TEAMS)
        heads = seen.page.locator("thead th")
        for column in range(heads.count()):
            head = heads.nth(column)
            directions = set()
            for _ in range(2):
                head.locator("button").click()
                direction = head.get_attribute("aria-sort")
                directions.add(direction)
                found = [value for value in values(seen, column) if value != ""]
                if head.get_attribute("data-kind") == "number":
                    numbers = list(map(float, found))
                    assert numbers == sorted(numbers, reverse=direction == "descending")
                assert values(seen, column)[: len(found)] == found  # rows without a value come last
                assert seen.page.locator("thead th[aria-sort]").count() == 1
            assert directions == {"ascending", "descending"}
        assert sorted(seen.page.evaluate(TEAMS)) == sorted(before)
        heads.nth(0).locator("button").click()
        assert seen.page.evaluate(TEAMS) == before


def test_team_names_sort_as_people_expect(visit: Visit) -> None:
    with visit("board.html") as seen:
        seen.page.get_by_role("button", name="Team", exact=True).click()
        teams = seen.page.evaluate(TEAMS)
        assert teams.index("Team 7") < teams.index("Team 10")


def test_sorting_works_by_keyboard_alone(visit: Visit) -> None:
    with visit("board.html") as seen:
        for _ in range(60):
            seen.page.keyboard.press("Tab")
            if seen.page.evaluate("document.activeElement.textContent") == "Score":
                break
        outline = seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        seen.page.keyboard.press("Enter")
        head = seen.page.locator("th[data-key=score]")
        assert (outline, head.get_attribute("aria-sort")) == ("solid", "descending")
        seen.page.keyboard.press("Space")
        assert head.get_attribute("aria-sort") == "ascending"


def test_a_team_can_be_found(visit: Visit) -> None:
    with visit("board.html") as seen:
        seen.page.get_by_placeholder("Find a team").fill("gradient GUARDS")
        assert seen.page.locator("tbody tr:visible").count() == 1
        assert seen.page.locator(".found").text_content() == "1 of 40 teams"
        seen.page.get_by_placeholder("Find a team").fill("")
        assert seen.page.locator("tbody tr:visible").count() == 40


def test_the_page_follows_the_system_s_theme_until_a_choice_is_made(visit: Visit) -> None:
    with visit("board.html", color_scheme="dark") as seen:
        assert brightness(seen.page.evaluate(PAPER)) < 60
        seen.page.get_by_role("button", name="Switch to the light theme").click()
        assert brightness(seen.page.evaluate(PAPER)) > 220
        seen.page.reload()
        assert brightness(seen.page.evaluate(PAPER)) > 220
        assert seen.page.get_by_role("button", name="Switch to the dark theme").is_visible()
    with visit("board.html", color_scheme="light") as seen:
        assert brightness(seen.page.evaluate(PAPER)) > 220


CONTRAST = """() => {
  const linear = c => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const light = s => { const [r, g, b] = s.match(/[\\d.]+/g).map(Number);
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b); };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  let worst = [99, ''];
  for (const each of document.querySelectorAll('h1, h2, p, a, td, th, dt, dd, code, li span, .flag, .range, button')) {
    const ink = light(getComputedStyle(each).color);
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < worst[0]) worst = [ratio, each.className || each.tagName];
  }
  return worst;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_that_wcag_asks_for(visit: Visit, scheme: str) -> None:
    with visit("board.html", color_scheme=scheme) as seen:
        ratio, where = seen.page.evaluate(CONTRAST)
        assert ratio >= 4.5, where


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("width", [320, 360, 414, 768, 1024, 1200, 1280, 1920])
@pytest.mark.parametrize("page", ["board.html", "index.html", "empty.html"])
def test_no_width_scrolls_the_page_sideways(visit: Visit, page: str, width: int, script: bool) -> None:
    with visit(page, width=width, java_script_enabled=script) as seen:
        # Evaluation by the driver works where the page's own scripts are off.
        assert seen.page.evaluate(OVERFLOW) <= 0


def test_a_phone_shows_every_number_of_every_team(visit: Visit) -> None:
    with visit("board.html", width=360, height=740) as seen:
        outside = seen.page.evaluate(
            """[...document.querySelectorAll('tbody td')].filter(cell => {
                const box = cell.getBoundingClientRect();
                return cell.textContent.trim() && (box.left < 0 || box.right > innerWidth || !box.width);
            }).length"""
        )
        assert outside == 0
        assert seen.page.locator("tbody tr").first.locator("td.score").is_visible()


def test_it_works_without_scripts(visit: Visit) -> None:
    with visit("board.html", java_script_enabled=False) as seen:
        assert seen.page.locator("tbody tr:visible").count() == 40
        assert seen.page.locator("button:visible, input:visible").count() == 0
        assert seen.page.get_by_role("heading", name="Not ranked").is_visible()
        assert seen.page.locator("td.axis svg .arm").count() == 40
        assert seen.noise == []


def test_intervals_share_one_axis(visit: Visit) -> None:
    with visit("board.html") as seen:
        boxes = seen.page.evaluate(
            "[...document.querySelectorAll('td.axis svg')].map(s => [s.getBoundingClientRect().left, "
            "s.getBoundingClientRect().width])"
        )
        assert len({tuple(box) for box in boxes}) == 1
        points = seen.page.evaluate("[...document.querySelectorAll('.point')].map(c => c.getBoundingClientRect().left)")
        assert points == sorted(points, reverse=True)  # ranked best first, higher to the right


def test_the_ranking_is_a_table_for_assistive_technology(visit: Visit) -> None:
    for width in (360, 1280):
        with visit("board.html", width=width) as seen:
            assert seen.page.get_by_role("table").count() == 1
            assert seen.page.get_by_role("row").count() == 41
            assert seen.page.get_by_role("columnheader", name="Score").count() == 1
            assert seen.page.get_by_role("heading", level=1).count() == 1


def test_a_digest_is_copied_whole(visit: Visit) -> None:
    with visit("board.html", permissions=["clipboard-read", "clipboard-write"]) as seen:
        button = seen.page.locator("button.digest").nth(1)
        whole = button.locator("code").get_attribute("data-copy")
        button.click()
        seen.page.get_by_text("copied").wait_for()
        assert len(whole) == 64
        assert seen.page.evaluate("navigator.clipboard.readText()") == whole


def test_it_prints_on_white_with_all_teams(visit: Visit) -> None:
    with visit("board.html", color_scheme="dark") as seen:
        seen.page.emulate_media(media="print")
        assert brightness(seen.page.evaluate(PAPER)) == 255
        assert seen.page.locator("button.theme").is_hidden()
        seen.page.set_viewport_size({"width": 1016, "height": 700})  # A4 landscape less its margins, at 96 dpi
        assert seen.page.evaluate(OVERFLOW) <= 0
        assert seen.page.locator("tbody tr:visible").count() == 40


def test_the_index_leads_to_the_boards(visit: Visit) -> None:
    with visit("index.html") as seen:
        seen.page.get_by_role("link", name="Face recognition, preliminary").click()
        assert seen.page.get_by_role("heading", level=1).text_content() == "Face recognition, preliminary"


@pytest.mark.parametrize(("width", "sticks"), [(1500, True), (900, False)])
def test_the_headings_stay_in_sight_where_the_table_fits(visit: Visit, width: int, sticks: bool) -> None:
    with visit("board.html", width=width) as seen:
        seen.page.evaluate("scrollTo(0, 1500)")
        seen.page.wait_for_timeout(100)
        top = seen.page.evaluate("document.querySelector('thead th').getBoundingClientRect().top")
        assert (top == 0) == sticks
