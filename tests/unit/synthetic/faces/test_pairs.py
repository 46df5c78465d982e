"""Pairs: names, bytes and people of a season's data."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aisc.errors import UsageError
from aisc.synthetic.faces.album import AlbumSpec, draw_person
from aisc.synthetic.faces.pairs import make_pairs, render_pair


def test_pairs_are_named_and_stored_as_the_track_wants_them(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    make_pairs(3, 9, tmp_path / "pairs", progress=lambda done, total: told.append((done, total)))
    names = sorted(path.name for path in (tmp_path / "pairs").iterdir())
    assert names == [f"{k:04d}{tail}.png" for k in (1, 2, 3) for tail in ("", "_compare")]
    assert told == [(1, 3), (2, 3), (3, 3)]
    for k in (1, 2, 3):
        for tail, expected in zip(("", "_compare"), render_pair(9, k), strict=True):
            with Image.open(tmp_path / "pairs" / f"{k:04d}{tail}.png") as image:
                assert (image.mode, image.size) == ("RGB", (112, 112))
                np.testing.assert_array_equal(np.asarray(image), expected)


def test_same_arguments_give_the_same_bytes_and_workers_change_nothing(tmp_path: Path) -> None:
    make_pairs(3, 9, tmp_path / "a")
    make_pairs(3, 9, tmp_path / "b", jobs=2)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_no_person_appears_twice_in_a_season() -> None:
    spec = AlbumSpec(9, "pairs", 600, 1)
    assert len({draw_person(spec, k)[0] for k in range(600)}) == 600


def test_other_seed_gives_other_people() -> None:
    assert (render_pair(9, 1) != render_pair(10, 1)).mean() > 0.5


@pytest.mark.parametrize("n", [0, -1, 10_000])
def test_count_that_four_digits_cannot_name_is_refused(n: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        make_pairs(n, 1, tmp_path)
    assert caught.value.code == "PAIRS_COUNT_INVALID"
