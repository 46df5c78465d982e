"""CelebA, in a miniature of its public layout made on the spot."""

import cv2
import numpy as np
import pytest
from PIL import Image

from aisc.datasets.attribute_faces import read_description, read_faces, read_pictures, verify_faces
from aisc.datasets.celeba import ImportSettings, align, import_celeba
from aisc.errors import UsageError

ATTRIBUTES = [f"Attribute_{k}" for k in range(40)]
PEOPLE, SHOTS = 6, 5
COUNT = PEOPLE * SHOTS


class Miniature:
    """Thirty drawn images of 178 x 218 pixels: six people, five images each; two people to each part."""

    def __init__(self, root, flat=False) -> None:
        rng = np.random.default_rng(8)
        self.root = root
        self.names = [f"{k:06d}.jpg" for k in range(1, COUNT + 1)]
        self.people = rng.permutation(np.repeat([2880, 7, 19, 501, 10177, 33], SHOTS))
        self.parts = np.searchsorted([19, 501], self.people, side="left")
        self.attributes = np.where(rng.random((COUNT, 40)) < 0.3, 1, -1)
        base = np.array([69, 111, 108, 111, 88, 135, 72, 152, 105, 152])
        self.landmarks = base + rng.integers(-3, 4, (COUNT, 10))
        places = ["", "", ""] if flat else ["Anno", "Eval", "Img"]
        self.anno, self.eval, self.img = (root / place for place in places)
        self.write()

    def write(self):
        images = self.img / "img_align_celeba"
        for folder in (self.anno, self.eval, images):
            folder.mkdir(parents=True, exist_ok=True)
        for index, name in enumerate(self.names):
            picture = np.full((218, 178, 3), 90, np.uint8)
            for x, y in self.landmarks[index].reshape(5, 2).tolist():
                cv2.circle(picture, (x, y), 4, (250, 20, 20), -1)
            picture[:6] = self.people[index] % 200  # says who it is, outside of what stays
            Image.fromarray(picture).save(images / name, quality=95)
        self.table(self.anno / "identity_CelebA.txt", self.people[:, None])
        self.table(self.eval / "list_eval_partition.txt", self.parts[:, None])
        self.table(self.anno / "list_attr_celeba.txt", self.attributes, ATTRIBUTES)
        points = ["lefteye_x", "lefteye_y", "righteye_x", "righteye_y", "nose_x", "nose_y", "leftmouth_x",
                  "leftmouth_y", "rightmouth_x", "rightmouth_y"]  # fmt: skip
        self.table(self.anno / "list_landmarks_align_celeba.txt", self.landmarks, points)

    def table(self, path, rows, header=None):
        lines = [f"{COUNT}", " ".join(header)] if header else []
        lines += [
            f"{name}  {' '.join(f'{cell:2d}' for cell in row)}" for name, row in zip(self.names, rows, strict=True)
        ]
        path.write_text("\n".join(lines) + "\n")


@pytest.fixture(params=[False, True], ids=["public layout", "one folder"])
def celeba(request, tmp_path):
    return Miniature(tmp_path / "celeba", request.param)


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def test_attributes_keep_the_public_partition_and_every_label(celeba, target):
    seen = []
    hidden = import_celeba(
        celeba.root, target, ImportSettings("attributes", hidden=8), lambda done, total: seen.append((done, total))
    )
    assert hidden == 8
    assert seen == [(k, 28) for k in range(1, 29)]
    described = verify_faces(target)
    assert described.attributes == tuple(ATTRIBUTES)
    assert described.images == {"train": 10, "val": 10, "hidden": 8}
    for number, split in enumerate(("train", "val")):
        rows = np.flatnonzero(celeba.parts == number)
        faces = read_faces(target, split)
        assert (faces.attributes == (celeba.attributes[rows] == 1)).all()
        # Numbers are new; who is the same person and who is not stays.
        original = celeba.people[rows]
        assert ((faces.people[:, None] == faces.people) == (original[:, None] == original)).all()
        assert faces.goals.shape == (10, 3)
    splits = [set(read_faces(target, split).people.tolist()) for split in described.images]
    assert not (splits[0] & splits[1] | splits[0] & splits[2] | splits[1] & splits[2])


def test_re_identification_knows_everybody_and_asks_for_somebody_else(celeba, target):
    import_celeba(celeba.root, target, ImportSettings("reid", hidden=6, least=5))
    described = verify_faces(target)
    assert described.people == PEOPLE
    assert described.images == {"train": 18, "val": 6, "hidden": 6}
    for split in ("train", "val", "hidden"):
        faces = read_faces(target, split)
        assert set(faces.people.tolist()) == set(range(PEOPLE))
        assert (faces.goals[:, 0] != faces.people).all()
    seen = [read_pictures(target, split, read_faces(target, split).names) for split in described.images]
    assert len(np.unique(np.concatenate(seen).reshape(30, -1), axis=0)) == 30


def test_a_person_with_too_few_pictures_stays_out(celeba, target):
    first = int(np.flatnonzero(celeba.people == 7)[0])
    celeba.people[first] = 8
    celeba.write()
    import_celeba(celeba.root, target, ImportSettings("reid", hidden=4, least=5))
    assert read_description(target).people == PEOPLE - 1


def test_landmarks_meet_the_template(celeba, target):
    import_celeba(celeba.root, target, ImportSettings("attributes", hidden=10))
    pictures = read_pictures(target, "train", read_faces(target, "train").names)
    for picture in pictures:
        red = (picture[..., 0].astype(int) - picture[..., 1] > 100).astype(np.uint8)
        count, _, _, centres = cv2.connectedComponentsWithStats(red)
        assert count == 6
        template = np.array([[40.4, 48], [71.6, 48], [56, 66], [43.4, 82], [68.6, 82]])
        gaps = np.linalg.norm(centres[1:, None] - template[None], axis=2).min(axis=0)
        assert gaps.max() < 6  # faces differ in shape


def test_alignment_undoes_a_turn_a_scale_and_a_shift():
    template = np.array([[40.4, 48], [71.6, 48], [56, 66], [43.4, 82], [68.6, 82]])
    rng = np.random.default_rng(1)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (112, 112, 3), dtype=np.uint8), (0, 0), 3)
    matrix = cv2.getRotationMatrix2D((56, 56), 12, 1.6)
    matrix[:, 2] += 40
    moved = cv2.warpAffine(picture, matrix, (240, 240), flags=cv2.INTER_CUBIC)
    points = template @ matrix[:, :2].T + matrix[:, 2]
    back = align(np.asarray(moved, np.uint8), points)
    assert np.abs(back[20:-20, 20:-20].astype(int) - picture[20:-20, 20:-20]).mean() < 2


def test_the_same_seed_gives_the_same_dataset_and_another_one_another(celeba, tmp_path):
    found = []
    for number, seed in enumerate((1, 1, 2)):
        folder = tmp_path / f"made-{number}"
        folder.mkdir()
        import_celeba(celeba.root, folder, ImportSettings("reid", hidden=6, least=5, seed=seed))
        found.append(read_description(folder).sha256)
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda c: (c.anno / "identity_CelebA.txt").unlink(), "CELEBA_MISSING"),
        (lambda c: (c.anno / "list_attr_celeba.txt").write_text("29\nA B\n"), "CELEBA_LISTING"),
        (lambda c: c.table(c.anno / "identity_CelebA.txt", np.zeros((COUNT, 2), int)), "CELEBA_LISTING"),
        (lambda c: c.table(c.eval / "list_eval_partition.txt", np.full((COUNT, 1), 3)), "CELEBA_LISTING"),
        (lambda c: (c.eval / "list_eval_partition.txt").write_text("000001.jpg 0\n"), "CELEBA_LISTING"),
        (lambda c: (c.img / "img_align_celeba" / "000003.jpg").unlink(), "CELEBA_IMAGE"),
        (lambda c: [p.write_text("no image") for p in (c.img / "img_align_celeba").iterdir()], "CELEBA_IMAGE"),
    ],
    ids=["no identities", "count", "two numbers", "part 3", "image not listed", "image missing", "no images"],
)
def test_what_is_missing_or_wrong_is_named(celeba, target, spoil, code):
    spoil(celeba)
    with pytest.raises(UsageError) as caught:
        import_celeba(celeba.root, target, ImportSettings("attributes", hidden=10))
    assert caught.value.code == code
    assert caught.value.remedy


def test_more_hidden_pictures_than_there_are_cannot_be_asked_for(celeba, target):
    with pytest.raises(UsageError) as caught:
        import_celeba(celeba.root, target, ImportSettings("attributes", hidden=11))
    assert caught.value.code == "CELEBA_TOO_SMALL"
