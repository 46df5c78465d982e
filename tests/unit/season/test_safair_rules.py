"""What a season file may say about the SAFAIR tracks."""

from datetime import date
from pathlib import Path

import pytest

from aisc.errors import UsageError
from aisc.season import load_season, season_text
from aisc.victims.builtin import builtin_names

TRACKS = ["reid-attack", "reid-defence", "attributes-attack", "attributes-defence"]


def written(folder: Path, *changes: tuple[str, str]) -> Path:
    text = season_text("safair", date(2026, 1, 1), tracks=TRACKS)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "season.yaml"
    path.write_text(text)
    return path


def test_the_template_is_a_season_of_shipped_parts(tmp_path: Path) -> None:
    season = load_season(written(tmp_path))
    assert [ref.path for ref in season.stages()] == [f"{track}/initial" for track in TRACKS]
    for ref in season.stages():
        assert set(ref.stage.victims) | set(ref.stage.surrogates) <= set(builtin_names("classifier"))
        assert (ref.stage.quota.per_day, ref.stage.quota.total) == (2, 3)
        assert ref.stage.advance is not None
        assert ref.stage.advance.top == 5
        assert ref.stage.limits["epsilon"] == 8


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("victims: [reid-fgsm, reid-undefended]", "victims: [reid-fgsm]", "needs 2 victims"),
        ("rules: safair-attack", "rules: safair-defence", "tracks that end in '-defence'"),
        ("weights: [0.2, 0.4, 0.4]", "weights: [0.5, 0.4, 0.4]", "add up to 1"),
        ("epsilon: 8 ", "epsilon: 8.5 ", "epsilon"),
        ("floor: 70.0", "floor: 170", "floor"),
        ("faithful: false", "probes: white-box", "probes"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_season(written(tmp_path, (old, new)))
    assert told in str(refused.value)
