"""What a season file may say about the SAFAIR tracks."""

from datetime import date
from pathlib import Path

import pytest
import yaml

from aisc.errors import UsageError
from aisc.season import Season, load_season, season_text
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
    assert [ref.path for ref in season.stages()] == [
        f"{track}/{name}" for track in TRACKS for name in ("initial", "final")
    ]
    for ref in season.stages():
        assert ref.is_tournament == (ref.name == "final")
        if ref.is_tournament:
            assert (ref.stage.entries, ref.stage.takes_uploads) == ("best", False)
            assert ref.stage.opens == season.stage(f"{ref.track}/initial").stage.closes
            continue
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
        ("faithful: false", "probes: grey-box", "probes"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_season(written(tmp_path, (old, new)))
    assert told in str(refused.value)


ATTACK_FINAL = "victims: [reid-fgsm, reid-undefended]   # as before"
DEFENCE_FINAL = "after: initial            # data, seed"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (ATTACK_FINAL, "uploads: true\n        victims: [reid-fgsm, reid-undefended]  #", "programs that advanced"),
        (ATTACK_FINAL, "# none", "computed results need victims"),
        (DEFENCE_FINAL, "victims: [reid-undefended]\n        after: initial  #", "no model is asked here"),
        (DEFENCE_FINAL, "results: entered\n        after: initial  #", "a tournament's results are computed"),
        (DEFENCE_FINAL, "seed: 3\n        after: initial  #", "seed is 3 here and 0 in 'reid-attack/final'"),
        (DEFENCE_FINAL, "data: safair/other\n        after: initial  #", "'safair/other' here and 'safair/reid'"),
        (DEFENCE_FINAL, "limits: {accuracy: all}\n        after: initial  #", "limits.accuracy is 'all' here"),
        (
            DEFENCE_FINAL,
            "opens: 2027-01-01T00:00:00\n        closes: 2027-02-01T00:00:00\n        data: safair/reid  #",
            "a final is held among the teams that advanced",
        ),
    ],
)
def test_both_finals_of_a_task_fit_together(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_season(written(tmp_path, (old, new)))
    assert told in str(refused.value)


def test_a_final_alone_is_refused_and_a_season_without_finals_is_not(tmp_path: Path) -> None:
    raw = yaml.safe_load(written(tmp_path).read_text())
    del raw["tracks"]["reid-defence"]["stages"]["final"]
    with pytest.raises(ValueError, match="there is no 'reid-defence/final'"):
        Season.model_validate(raw)
    del raw["tracks"]["reid-attack"]["stages"]["final"]
    assert Season.model_validate(raw)


@pytest.mark.parametrize("track", TRACKS)
def test_one_side_alone_has_no_tournament(tmp_path: Path, track: str) -> None:
    path = tmp_path / "season.yaml"
    path.write_text(season_text("safair", date(2026, 1, 1), tracks=[track]))
    assert [ref.path for ref in load_season(path).stages()] == [f"{track}/initial"]


def test_a_registration_that_closes_before_it_opens_is_named_with_its_place(tmp_path: Path) -> None:
    window = "registration: {opens: 2026-02-01T00:00:00, closes: 2026-01-01T00:00:00}"
    path = written(tmp_path, ("rules: safair-attack\n", f"rules: safair-attack\n    {window}\n"))
    line = 1 + path.read_text().splitlines().index(f"    {window}")
    with pytest.raises(UsageError, match=rf":{line}:5 tracks\.reid-attack\.registration: .* Let closes be later"):
        load_season(path)


def test_what_is_attacked_unseen_is_not_handed_out(tmp_path: Path) -> None:
    path = written(tmp_path, ("surrogates: [reid-undefended]", "surrogates: [reid-fgsm]"))
    with pytest.raises(UsageError, match=r"surrogates\.0: 'reid-fgsm' is attacked unseen.* Hand out other models"):
        load_season(path)
