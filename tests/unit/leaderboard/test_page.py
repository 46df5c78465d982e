import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from aisc.leaderboard.board import Board
from aisc.leaderboard.entry import Interval, Part
from aisc.leaderboard.page import Link, Links, Listed, render_board, render_index


class Seen(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}",
    "' onmouseover='alert(1)",
    "</style>",
]


@pytest.fixture
def hostile(board: Any, entry: Any) -> Board:
    rows = [entry(name, 0.5, flags=(name,), parts=(Part(name, 0.5),)) for name in HOSTILE]
    rows += [entry(name + "2", reason=name, reason_code=name) for name in HOSTILE]
    return board(rows, title=HOSTILE[0], season=HOSTILE[1], stage=HOSTILE[3])


def test_T51_hostile_text_adds_no_tag_and_no_attribute(hostile: Board, board: Any, entry: Any) -> None:
    calm = board([entry(f"t{n}", 0.5, flags=("f",), parts=(Part(f"p{n}", 0.5),)) for n in range(5)]
                 + [entry(f"u{n}", reason="r", reason_code="C") for n in range(5)])  # fmt: skip
    one, two = Seen(render_board(hostile)), Seen(render_board(calm))
    assert one.tags == two.tags
    assert [(tag, name) for tag, name, _ in one.attributes] == [(tag, name) for tag, name, _ in two.attributes]
    assert HOSTILE[0] in "".join(one.text)
    assert "49" not in [text.strip() for text in one.text]


def test_the_page_needs_nothing_from_elsewhere(hostile: Board) -> None:
    seen = Seen(render_board(hostile))
    assert not [each for each in seen.attributes if each[1] in ("src", "srcset", "style") or each[1].startswith("on")]
    hrefs = [value for _, name, value in seen.attributes if name == "href"]
    assert all(not re.match(r"(?i)[a-z+]+:|//", href) for href in hrefs if href != "data:,")


def test_the_policy_allows_exactly_the_page_s_own_style_and_script(board: Any) -> None:
    page = render_board(board())
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page).group(1).replace("&#39;", "'")
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_page_follows_from_the_published_file(board: Any, entry: Any) -> None:
    made = board([entry("a", 0.5, interval=Interval(0.4, 0.6)), entry("b")], top=1)
    assert render_board(Board.from_bytes(made.as_bytes())) == render_board(made)


def test_the_page_says_what_the_scores_are_bound_to(board: Any, entry: Any) -> None:
    made = board([entry("a", 0.634889, interval=Interval(0.624812, 0.645071))], top=10)
    page = render_board(made, key_fingerprint="SHA256:abc")
    for text in ("0.634889", "0.625 to 0.645", "d" * 64, made.sha256, made.version.sha256, "SHA256:abc", made.tie_rule):
        assert text in page


def test_an_interval_of_no_width_is_short_enough_for_a_phone(board: Any, entry: Any) -> None:
    page = render_board(board([entry("a", 0.0, interval=Interval(0.0, 0.0))]))
    assert "0.0000 to 0.0000" in page
    assert "0.000000 to 0.000000" not in page


def test_an_empty_board_says_so(board: Any) -> None:
    assert "Nothing is ranked yet." in render_board(board())


def test_the_index_lists_every_stage(board: Any, entry: Any) -> None:
    one, two = board([entry("<b>", 0.5)]), board([], stage="final", title="Final <x>")
    page = render_index([Listed(one, "a/index.html"), Listed(two, "b/index.html")], title="Season <1>")
    assert "<b>" not in page
    assert {"a/index.html", "b/index.html"} <= {value for _, name, value in Seen(page).attributes if name == "href"}
    assert "No board has been published yet." in render_index([], title="x")


def test_links_are_text(board: Any) -> None:
    page = render_board(board(), links=Links(files=(Link("<i>", '"><i>'),)))
    assert "<i>" not in page
