"""Names by content: what changes a key, and what does not."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aisc
from aisc.identity import SCORING_PACKAGES, Asset, Plan, Version, canonical_json, code_version, digest, sources

VERSION = Version(
    stage="face/preliminary",
    rules="face-verification-patch",
    data=Asset("data", "faces/pairs", "d" * 64, "assets/data/d.tar"),
    victims=(Asset("victim", "irse", "1" * 64, "k1"), Asset("victim", "vgg", "2" * 64, "k2")),
    limits={"patches": 5, "area": 0.1},
    seed=7,
    code="0123456789abcdef",
)
PLAN = Plan(VERSION, Asset("submission", "s-1", "a" * 64, "blobs/aa/a"), season="dev", digits=6)

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(plain.filter(lambda value: "\\ud" not in json.dumps(value)))
def test_canonical_json_is_json_and_the_same_whatever_the_order(value: object) -> None:
    data = canonical_json(value)
    assert json.loads(data) == value
    assert canonical_json(json.loads(data)) == data
    assert canonical_json(_turned(value)) == data


def _turned(value: object) -> object:
    if isinstance(value, dict):
        return {key: _turned(value[key]) for key in reversed(value)}
    return [_turned(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": float("-inf")}, {1, 2}, b"x"])
def test_T35_what_is_no_plain_value_has_no_name(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        canonical_json(value)


def test_a_digest_is_sha_256_of_sorted_utf_8_without_blanks() -> None:
    assert digest({"b": "ä", "a": 1}) == hashlib.sha256('{"a":1,"b":"ä"}'.encode()).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "face/evaluation"},
        {"rules": "another"},
        {"data": replace(VERSION.data, sha256="e" * 64)},
        {"data": None},
        {"victims": VERSION.victims[:1]},
        {"victims": (VERSION.victims[0], replace(VERSION.victims[1], sha256="3" * 64))},
        {"limits": {"patches": 4, "area": 0.1}},
        {"seed": 8},
        {"code": "f" * 16},
    ],
    ids=lambda change: next(iter(change)),
)
def test_F13_whatever_a_score_depends_on_changes_its_key(change: dict[str, object]) -> None:
    changed = replace(VERSION, **change)  # type: ignore[arg-type]
    assert changed.sha256 != VERSION.sha256
    assert replace(PLAN, version=changed).run_key != PLAN.run_key


def test_T49_another_submission_has_another_key() -> None:
    for submission in (replace(PLAN.submission, sha256="b" * 64), replace(PLAN.submission, name="s-2")):
        assert replace(PLAN, submission=submission).run_key != PLAN.run_key


def test_F13_where_things_lie_and_how_they_are_shown_changes_no_key() -> None:
    moved = replace(VERSION, data=replace(VERSION.data, key="elsewhere"))
    assert moved.sha256 == VERSION.sha256
    shown = replace(PLAN, version=moved, season="another name", digits=3)
    assert shown.run_key == PLAN.run_key
    assert len(PLAN.run_key) == 64


def test_plans_come_back_from_json_as_they_were() -> None:
    for version in (VERSION, replace(VERSION, data=None, victims=())):
        plan = replace(PLAN, version=version)
        assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan


def test_the_code_version_names_what_is_installed() -> None:
    assert code_version() == code_version()
    assert len(code_version()) == 16
    assert {"metrics", "stages", "submission", "tracks", "victims"} <= set(SCORING_PACKAGES)


def test_the_code_version_is_the_digest_of_paths_and_contents() -> None:
    root = Path(aisc.__file__).parent
    files = [path for package in SCORING_PACKAGES for path in (root / package).rglob("*.py")]
    total = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.relative_to(root).as_posix()):
        total.update(path.relative_to(root).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    assert code_version() == total.hexdigest()[:16]


def test_sources_are_those_files_alone_that_end_so_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b.py", "a/z.sh", "a/b/c.py", "a.txt", "a0.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert sources(tmp_path, ".py", ".sh") == [
        (name, name.encode()) for name in ("a/b/c.py", "a/z.sh", "a0.py", "b.py")
    ]


def test_a_version_tells_track_and_stage_apart() -> None:
    assert (VERSION.track, VERSION.stage_name) == ("face", "preliminary")
