"""Albums: a person is a function of seed, use and number; the number of workers changes nothing."""

from pathlib import Path

import numpy as np
import pytest

from aisc.synthetic.faces.album import AlbumSpec, draw_person, render_album, render_person


def test_album_holds_each_persons_own_pictures_whatever_the_number_of_workers() -> None:
    spec = AlbumSpec(4, "test", people=3, shots=2)
    one, two = render_album(spec), render_album(spec, jobs=2)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one[2], render_person(spec, 2))


def test_person_does_not_depend_on_the_size_of_the_album() -> None:
    small, large = AlbumSpec(4, "test", 3, 2), AlbumSpec(4, "test", 300, 2)
    assert draw_person(small, 1) == draw_person(large, 1)


@pytest.mark.parametrize("use", ["training", "validation", "calibration", "pairs"])
def test_people_of_one_use_appear_in_no_other(use: str) -> None:
    here = {draw_person(AlbumSpec(4, use, 50, 1), k)[0] for k in range(50)}  # type: ignore[arg-type]
    test = {draw_person(AlbumSpec(4, "test", 50, 1), k)[0] for k in range(50)}
    assert len(here) == len(test) == 50
    assert not here & test


def test_finished_file_is_taken_as_it_is_and_half_written_ones_are_not(tmp_path: Path) -> None:
    spec, target = AlbumSpec(4, "test", 2, 1), tmp_path / "album.npy"
    (tmp_path / "album-1.part").write_bytes(b"half")
    first = np.array(render_album(spec, target))
    before = target.stat().st_mtime_ns
    np.testing.assert_array_equal(render_album(spec, target), first)
    assert target.stat().st_mtime_ns == before
