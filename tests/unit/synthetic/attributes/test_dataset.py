"""A season's faces: rendered again they are the same, and what is hidden is nowhere else."""

import numpy as np
import pytest

from aisc.datasets.attribute_faces import SPLITS, read_faces, read_pictures, verify_faces
from aisc.errors import UsageError
from aisc.synthetic.attributes.album import ATTRIBUTES, CIRCLE, AlbumSpec, draw_person, render_album
from aisc.synthetic.attributes.dataset import FacesSpec, make_faces
from aisc.synthetic.faces import parameters


def small(task, seed=5, hidden=12, train=6):
    return FacesSpec(task, seed, hidden=hidden, train=train, val=4)


@pytest.fixture(scope="module", params=["reid", "attributes"])
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    make_faces(small(request.param), folder)
    return folder


def test_a_dataset_is_whole_and_hides_nothing_in_names_or_order(made):
    described = verify_faces(made)
    assert described.images == {"train": 6, "val": 4, "hidden": 12}
    assert len(described.attributes) >= 8
    faces = read_faces(made, "hidden")
    assert faces.names == tuple(sorted(faces.names))
    assert (np.diff(faces.people) < 0).any()
    if described.task == "reid":
        assert described.people == CIRCLE
        assert (faces.goals[:, 0] != faces.people).all()
    else:
        people = [set(read_faces(made, split).people.tolist()) for split in SPLITS]
        assert sum(map(len, people)) == len(set.union(*people))
        assert faces.goals.shape == (12, 3)


def test_no_picture_appears_twice(made):
    pictures = [read_pictures(made, split, read_faces(made, split).names) for split in SPLITS]
    assert len(np.unique(np.concatenate(pictures).reshape(22, -1), axis=0)) == 22


def test_equal_seeds_give_equal_bytes_and_other_seeds_other_pictures(tmp_path):
    digests = []
    for number, seed in enumerate((3, 3, 4)):
        make_faces(small("attributes", seed), tmp_path / str(number))
        digests.append(verify_faces(tmp_path / str(number)).sha256)
    assert digests[0] == digests[1] != digests[2]


def test_the_circle_is_the_same_in_every_season_and_its_pictures_are_not():
    first, other = (draw_person(AlbumSpec("reid", "hidden", seed, CIRCLE, 2), 17) for seed in (1, 2))
    again = draw_person(AlbumSpec("reid", "train", 1, CIRCLE, 2), 17)
    assert first[0] == other[0] == again[0]
    assert len({first[1][0], first[1][1], other[1][0], other[1][1], again[1][0], again[1][1]}) == 6


def test_strangers_differ_between_splits_and_seeds():
    drawn = {
        draw_person(AlbumSpec("attributes", split, seed, 2, 1), person)[0]
        for split in SPLITS for seed in (1, 2) for person in (0, 1)
    }  # fmt: skip
    assert len(drawn) == 12


def test_the_truth_is_the_renderers_own():
    spec = AlbumSpec("attributes", "val", 9, 3, 2)
    album = render_album(spec)
    for person in range(3):
        identity, shots = draw_person(spec, person)
        for number, shot in enumerate(shots):
            truth = dict(zip(parameters.ATTRIBUTES, parameters.attributes(identity, shot), strict=True))
            assert album.attributes[2 * person + number].tolist() == [bool(truth[name]) for name in ATTRIBUTES]
    assert album.people.tolist() == [0, 0, 1, 1, 2, 2]


def test_pictures_do_not_depend_on_the_number_of_processes():
    spec = AlbumSpec("reid", "val", 1, 4, 1)
    assert (render_album(spec).pictures == render_album(spec, jobs=2).pictures).all()


def test_progress_counts_pictures(tmp_path):
    seen = []
    make_faces(small("attributes"), tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (22, 22)
    assert seen == sorted(seen)


@pytest.mark.parametrize("counts", [{"hidden": 0}, {"train": 100_001}])
def test_impossible_counts_are_refused(tmp_path, counts):
    with pytest.raises(UsageError) as caught:
        make_faces(small("reid", **counts), tmp_path)
    assert caught.value.code == "FACES_COUNT"
