"""The page for participants lists exactly the findings that the code can make."""

import re
from pathlib import Path

from aisc.submission.archive_rules import ARCHIVE_RULES
from aisc.submission.images import IMAGE_RULES
from aisc.submission.png import PNG_RULES

PAGE = Path(__file__).parents[3] / "docs" / "formats" / "face-submission.md"
RULES = ARCHIVE_RULES | PNG_RULES | IMAGE_RULES


def test_the_page_lists_exactly_the_codes_with_their_effect_and_remedy() -> None:
    rows = re.findall(
        r"^\| `([A-Z_0-9]+)` \| ([^|]+) \| (\w+) \| ([^|]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    listed = {code: (effect, remedy) for code, _, effect, remedy in rows}
    assert len(rows) == len(listed)
    assert listed == {code: (rule.effect, rule.remedy) for code, rule in RULES.items()}


def test_no_code_is_made_outside_the_tables() -> None:
    sources = Path(__file__).parents[3] / "src" / "aisc" / "submission"
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources.glob("*.py"))
    made = set(re.findall(r'"((?:ZIP|PNG|ARCHIVE|IMAGE)_[A-Z_0-9]+)"', text))
    assert made - {"PNG_DECODER"} == set(RULES), "PNG_DECODER alone is the platform's fault"
