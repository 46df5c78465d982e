"""Wrong season files, and exactly what is said about each of them."""

import textwrap
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aisc.errors import UsageError
from aisc.season import Season, SeasonError, load_season, season_digest, season_text

GOOD = """\
season: dev
timezone: Asia/Shanghai
store: ./artifacts
ledger: sqlite:///ledger.db
tracks:
  face:
    rules: face-verification-patch
    stages:
      preliminary:
        opens: 2022-03-01T00:00:00
        closes: 2022-05-01T00:00:00
        data: faces/pairs
        victims: [irse, mobile, vgg]
      evaluation:
        after: preliminary
        victims: [a, b, c]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "season.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(folder: Path, text: str) -> list[tuple[int, int, str, str]]:
    with pytest.raises(SeasonError) as caught:
        load_season(write(folder, text))
    assert caught.value.code == "SEASON_WRONG"
    assert all(problem.remedy for problem in caught.value.problems)
    return [tuple(problem[:4]) for problem in caught.value.problems]


def test_the_sketch_of_the_design_is_read(tmp_path: Path) -> None:
    season = load_season(write(tmp_path, GOOD))
    preliminary, evaluation = season.stage("face/preliminary"), season.stage("face/evaluation")
    assert preliminary.stage.opens == datetime(2022, 2, 28, 16, tzinfo=UTC)
    assert preliminary.stage.victims == ("irse", "mobile", "vgg")
    assert preliminary.limits.model_dump() == {
        "patches": 5,
        "area": 0.10,
        "connectivity": 4,
        "max_archive_mib": 512,
    }
    assert evaluation.stage.data == "faces/pairs"
    assert evaluation.stage.opens == evaluation.stage.closes == preliminary.stage.closes
    assert season.store_url == str(tmp_path / "artifacts")
    assert season.ledger_url == f"sqlite:///{tmp_path}/ledger.db"
    assert season.store == "./artifacts"


CHANGES = [
    ("season: dev", "season: 2022", [(1, 1, "season", "2022 is not text")]),
    ("season: dev", "season: Dev!", [(1, 1, "season", "'Dev!' is not a name that is allowed here")]),
    ("season: dev\n", "", [(1, 1, "season", "'season' is missing")]),
    (
        "season: dev",
        "saeson: dev",
        [(1, 1, "saeson", "'saeson' is not known here"), (1, 1, "season", "'season' is missing")],
    ),
    ("Asia/Shanghai", "Asia/Shangai", [(2, 1, "timezone", "'Asia/Shangai' is no IANA time zone")]),
    ("Asia/Shanghai", "../../etc/passwd", [(2, 1, "timezone", "'../../etc/passwd' is no IANA time zone")]),
    ("./artifacts", "http://host/x", [(3, 1, "store", "'http://host/x' is no place for artifacts")]),
    ("./artifacts", "s3://key:secret@bucket", [(3, 1, "store", "the store's address holds credentials")]),
    ("sqlite:///ledger.db", "mysql://h/d", [(4, 1, "ledger", "'mysql://h/d' is no ledger that aisc can use")]),
    (
        "sqlite:///ledger.db",
        "postgresql+psycopg://u:pw@h/d",
        [(4, 1, "ledger", "the ledger's address holds a password")],
    ),
    (
        "sqlite:///ledger.db",
        "'sqlite:///:memory:'",
        [(4, 1, "ledger", "a ledger in memory is lost when the process ends")],
    ),
    ("  face:", "  faces:", [(6, 3, "tracks.faces", "'faces' is no track")]),
    ("patch\n", "patches\n", [(7, 5, "tracks.face.rules", "there is no rulebook 'face-verification-patches'")]),
    (
        "preliminary:\n",
        "qualifying:\n",
        [
            (9, 7, "tracks.face.stages.qualifying", "'qualifying' is no stage of track 'face'"),
            (15, 9, "tracks.face.stages.evaluation.after", "there is no stage 'preliminary' in this track"),
            (14, 7, "tracks.face.stages.evaluation", "computed results need data"),
        ],
    ),
    (
        "2022-05-01T",
        "2022-02-01T",
        [
            (
                11,
                9,
                "tracks.face.stages.preliminary.closes",
                "2022-01-31T16:00:00Z is not after opens 2022-02-28T16:00:00Z",
            ),
        ],
    ),
    (
        "2022-05-01T",
        "2022-03-01T",
        [
            (
                11,
                9,
                "tracks.face.stages.preliminary.closes",
                "2022-02-28T16:00:00Z is not after opens 2022-02-28T16:00:00Z",
            ),
        ],
    ),
    (
        "2022-03-01T00:00:00",
        "2022-03-01",
        [
            (10, 9, "tracks.face.stages.preliminary.opens", "'2022-03-01' is a day without a time"),
        ],
    ),
    (
        "2022-03-01T00:00:00",
        "noon",
        [
            (10, 9, "tracks.face.stages.preliminary.opens", "'noon' is not a date and a time"),
        ],
    ),
    (
        "2022-03-01T00:00:00",
        "1646092800",
        [
            (10, 9, "tracks.face.stages.preliminary.opens", "1646092800 is not a date and a time"),
        ],
    ),
    (
        "[irse, mobile, vgg]",
        "[irse, vgg, irse]",
        [
            (13, 30, "tracks.face.stages.preliminary.victims.2", "'irse' is listed 2 times"),
        ],
    ),
    ("[irse, mobile, vgg]", "irse", [(13, 9, "tracks.face.stages.preliminary.victims", "a list is expected")]),
    (
        "        victims: [irse, mobile, vgg]\n",
        "",
        [
            (9, 7, "tracks.face.stages.preliminary", "computed results need victims"),
        ],
    ),
    (
        "        data: faces/pairs\n",
        "",
        [
            (9, 7, "tracks.face.stages.preliminary", "computed results need data"),
            (13, 7, "tracks.face.stages.evaluation", "computed results need data"),
        ],
    ),
    (
        "after: preliminary",
        "after: preliminray",
        [
            (15, 9, "tracks.face.stages.evaluation.after", "there is no stage 'preliminray' in this track"),
            (14, 7, "tracks.face.stages.evaluation", "computed results need data"),
        ],
    ),
    (
        "[a, b, c]",
        "[a, vgg, c]",
        [
            (16, 22, "tracks.face.stages.evaluation.victims.1", "'vgg' was a victim of 'preliminary' already"),
        ],
    ),
    (
        "[a, b, c]",
        "[a, b, c]\n        quota: {per_day: 5}",
        [
            (
                17,
                9,
                "tracks.face.stages.evaluation.quota",
                "entries come from 'preliminary', so no quota can be used up here",
            ),
        ],
    ),
    (
        "[a, b, c]",
        "[a, b, c]\n        results: entered",
        [
            (
                16,
                9,
                "tracks.face.stages.evaluation.victims",
                "organizers enter these results, so victims would never be used",
            ),
        ],
    ),
    (
        "[a, b, c]",
        "[a, b, c]\n        opens: 2022-04-01T00:00:00",
        [
            (
                17,
                9,
                "tracks.face.stages.evaluation.opens",
                "2022-03-31T16:00:00Z is before 'preliminary' closes at 2022-04-30T16:00:00Z",
            ),
        ],
    ),
    (
        "[a, b, c]",
        "[a, b, c]\n        reveiw: required",
        [
            (17, 9, "tracks.face.stages.evaluation.reveiw", "'reveiw' is not known here"),
        ],
    ),
    (
        "[a, b, c]",
        "[a, b, c]\n        review: maybe",
        [
            (17, 9, "tracks.face.stages.evaluation.review", "'maybe' is not one of the choices"),
        ],
    ),
    (
        "[a, b, c]",
        "[a, b, c]\n        advance: {top: 0}",
        [
            (17, 19, "tracks.face.stages.evaluation.advance.top", "0 is wrong"),
        ],
    ),
    (
        "[a, b, c]",
        "[a, b, c]\n        attempts: 2.5",
        [
            (17, 9, "tracks.face.stages.evaluation.attempts", "2.5 is not a whole number"),
        ],
    ),
    (
        "data: faces/pairs",
        "data: ../pairs",
        [
            (12, 9, "tracks.face.stages.preliminary.data", "'../pairs' is not a name that is allowed here"),
        ],
    ),
    (
        "data: faces/pairs",
        "data: faces/pairs\n        limits: {patches: 0, conectivity: 4, connectivity: 5}",
        [
            (13, 18, "tracks.face.stages.preliminary.limits.patches", "0 is wrong"),
            (13, 30, "tracks.face.stages.preliminary.limits.conectivity", "'conectivity' is not known here"),
            (13, 46, "tracks.face.stages.preliminary.limits.connectivity", "5 is not one of the choices"),
        ],
    ),
    (
        "data: faces/pairs",
        "data: faces/pairs\n        data: faces/others",
        [
            (13, 9, "tracks.face.stages.preliminary.data", "the key is here twice, first in line 12"),
        ],
    ),
    (
        "data: faces/pairs",
        "7: faces/pairs",
        [
            (9, 7, "tracks.face.stages.preliminary", "computed results need data"),
            (12, 9, "tracks.face.stages.preliminary", "a key is not text"),
            (14, 7, "tracks.face.stages.evaluation", "computed results need data"),
        ],
    ),
    ("        data:", "\tdata:", [(12, 1, "", "a tab is used to indent")]),
    (
        "season: dev",
        "season: !!python/object/apply:os.system [id]",
        [(1, 9, "season", "a value of the kind tag:yaml.org,2002:python/object/apply:os.system is not read")],
    ),
    (
        "season: dev",
        "season: !!python/name:os.system x",
        [
            (1, 9, "season", "a value of the kind tag:yaml.org,2002:python/name:os.system is not read"),
        ],
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), CHANGES, ids=[str(index) for index in range(len(CHANGES))])
def test_a_wrong_file_is_refused_with_the_place(
    tmp_path: Path, old: str, new: str, expected: list[tuple[int, int, str, str]]
) -> None:
    assert old in GOOD
    found = problems_of(tmp_path, GOOD.replace(old, new, 1))
    assert found == sorted(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (1, 1, "", "the file holds no mapping")),
        ("# nothing\n", (1, 1, "", "the file holds no mapping")),
        ("- a\n- b\n", (1, 1, "", "the file holds no mapping")),
        ("just text", (1, 1, "", "the file holds no mapping")),
        ("a: 1\n---\nb: 2\n", (2, 1, "", "a second document begins")),
        ("a: &x [1]\nb: *x\n", (2, 4, "", "an alias (*name) stands for a copied value")),
        ("a: " + "[" * 30, (1, 23, "", "values are nested deeper than 20")),
        ("a: [" * 200_000, (1, 41, "", "values are nested deeper than 20")),
        ("a: 'b\n", (2, 1, "", "this is not YAML: found unexpected end of stream")),
        ("a: b\x07c\n", (1, 5, "", "the character U+0007 is not allowed")),
        ("a" * (2**20 + 1), (1, 1, "", "the file is larger than 1 MiB")),
    ],
    ids=["empty", "comment", "list", "text", "documents", "alias", "deep", "deep-mapping", "quote", "bell", "huge"],
)
def test_what_is_no_season_at_all_is_refused(tmp_path: Path, text: str, expected: tuple[int, int, str, str]) -> None:
    assert problems_of(tmp_path, text) == [expected]


def test_an_alias_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert problems_of(tmp_path, "\n".join(lines))[0][:2] == (2, 10)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "season.yaml"
    path.write_bytes(b"season: dev\nsite: \xff\xfe\n")
    with pytest.raises(SeasonError) as caught:
        load_season(path)
    assert caught.value.problems[0][:4] == (2, 7, "", "the file is not UTF-8 text")


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"SEASON_UNREADABLE.*aisc season init"):
        load_season(tmp_path / "season.yaml")


def test_every_problem_is_shown_at_once_with_line_path_and_remedy(tmp_path: Path) -> None:
    wrong = GOOD.replace("Asia/Shanghai", "Mars/Base").replace("[a, b, c]", "[a, vgg, c]").replace("data:", "dta:")
    with pytest.raises(SeasonError) as caught:
        load_season(write(tmp_path, wrong))
    lines = str(caught.value).splitlines()
    assert f"{tmp_path}/season.yaml:2:1 timezone: 'Mars/Base' is no IANA time zone. Name a zone of the IANA" in lines[1]
    assert any(
        ":12:9 tracks.face.stages.preliminary.dta: 'dta' is not known here. Did you mean 'data'?" in x for x in lines
    )
    assert any(":16:22 tracks.face.stages.evaluation.victims.1: 'vgg' was a victim" in line for line in lines)


def test_T48_times_that_clocks_skip_or_repeat_are_refused(tmp_path: Path) -> None:
    berlin = GOOD.replace("Asia/Shanghai", "Europe/Berlin")
    skipped = berlin.replace("2022-03-01T00:00:00", "2022-03-27T02:30:00")
    assert problems_of(tmp_path, skipped) == [
        (
            10,
            9,
            "tracks.face.stages.preliminary.opens",
            "2022-03-27T02:30:00 does not exist in Europe/Berlin, its clocks jump over it",
        ),
    ]
    twice = berlin.replace("2022-05-01T00:00:00", "2022-10-30T02:30:00")
    with pytest.raises(SeasonError) as caught:
        load_season(write(tmp_path, twice))
    first = caught.value.problems[0]
    assert first.message == "2022-10-30T02:30:00 happens twice in Europe/Berlin, its clocks are set back"
    assert first.remedy == "Write which one is meant: 2022-10-30T02:30:00+02:00 or 2022-10-30T02:30:00+01:00."
    said = berlin.replace("2022-05-01T00:00:00", "2022-10-30T02:30:00+01:00")
    season = load_season(write(tmp_path, said))
    assert season.stage("face/preliminary").stage.closes == datetime(2022, 10, 30, 1, 30, tzinfo=UTC)


def test_stages_that_follow_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    circle = textwrap.dedent("""\
        season: dev
        timezone: UTC
        store: artifacts
        ledger: sqlite:///ledger.db
        tracks:
          face:
            rules: face-verification-patch
            stages:
              preliminary: {after: evaluation, opens: 2022-03-01T00:00:00, data: d, victims: [a]}
              evaluation: {after: preliminary, data: d, victims: [b]}
    """).replace("2022-03-01T00:00:00,", "2022-03-01T00:00:00, closes: 2022-03-02T00:00:00,")
    found = problems_of(tmp_path, circle)
    path = "tracks.face.stages.preliminary"
    assert (9, 21, f"{path}.after", "'evaluation' does not come before 'preliminary'") in found


def test_the_template_is_a_season_and_its_comments_explain_each_setting(tmp_path: Path) -> None:
    text = season_text("aisc-2022-dev", date(2022, 3, 1), "Europe/Berlin", 'A "title": {with} #signs')
    season = load_season(write(tmp_path, text))
    assert season.season == "aisc-2022-dev"
    assert season.site is not None
    assert season.site.title == 'A "title": {with} #signs'
    assert list(season.tracks["face"].stages) == ["preliminary", "evaluation", "final"]
    final = season.stage("face/final").stage
    assert (final.results, final.victims, final.data, final.limits) == ("entered", (), None, {})
    assert season.stage("face/evaluation").stage.entries == "last"


names = st.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,20}\Z")
instants = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))


@st.composite
def seasons(draw: st.DrawFn) -> Season:
    times = sorted(draw(st.lists(instants, min_size=4, max_size=4, unique=True)))
    victims = draw(st.lists(names, min_size=2, max_size=6, unique=True))
    cut = draw(st.integers(1, len(victims) - 1))
    count = st.none() | st.integers(1, 10**6)
    stages = {
        "preliminary": {
            "opens": times[0],
            "closes": times[1],
            "data": draw(names),
            "victims": victims[:cut],
            "quota": {"per_day": draw(count), "total": draw(count)},
            "limits": {"patches": draw(st.integers(1, 9)), "area": draw(st.floats(0.001, 1))},
            "seed": draw(st.integers(0, 2**32 - 1)),
        },
        "evaluation": {
            "after": "preliminary",
            "opens": times[2],
            "closes": times[3],
            "victims": victims[cut:],
            "entries": draw(st.sampled_from(["last", "best"])),
            "review": draw(st.sampled_from(["none", "required"])),
        },
    }
    title = draw(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=30))
    return Season.model_validate(
        {
            "season": draw(names),
            "timezone": draw(st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York"])),
            "store": "./artifacts",
            "ledger": "sqlite:///ledger.db",
            "site": draw(st.none() | st.just({"title": title})),
            "tracks": {"face": {"rules": "face-verification-patch", "stages": stages}},
        }
    )


@settings(max_examples=25, deadline=None)
@given(seasons())
def test_a_season_written_out_is_read_back_the_same(tmp_path_factory: pytest.TempPathFactory, season: Season) -> None:
    folder = tmp_path_factory.mktemp("season")
    text = yaml.safe_dump(season.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    again = load_season(write(folder, text))
    assert again.model_dump() == season.model_dump()
    assert season_digest(again) == season_digest(season)


SCRAPS = [
    "{",
    "}",
    "[",
    "]",
    ":",
    "- ",
    "&a ",
    "*a",
    "!!int x",
    "|",
    ">",
    "?",
    "'",
    '"',
    "\n",
    "  ",
    "~",
    "0x1F",
    "1e400",
]
SCRAPS += [
    "!!timestamp 2022-03-01",
    "!!binary aGk=",
    "<<: {a: 1}",
    "2022-99-01T00:00:00",
    "9999-12-31T23:59:59-14:00",
    "no",
]
SCRAPS += ["1:30:00", "-1", "null", ".nan", "!!set {a}", "%TAG", "0001-01-01T00:00:00+14:00", "9" * 5000, "\ud7ff", "#"]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 12), st.sampled_from(SCRAPS)), min_size=1, max_size=4)
)
def test_any_text_is_read_or_refused_with_a_place(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int, str]]
) -> None:
    text = GOOD
    for position, length, scrap in edits:
        text = text[:position] + scrap + text[position + length :]
    try:
        load_season(write(tmp_path_factory.mktemp("season"), text))
    except SeasonError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(problem.line >= 1 and problem.column >= 1 and problem.remedy for problem in problems)
