"""The face track's starter kit, run as a participant runs it, on a tiny kit with random networks."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor, nn

STARTER = Path(__file__).parents[3] / "images" / "starters" / "face"
ATTACKS = ("rectangle", "mi", "ensemble")
PAIRS = 3
PIXELS = 1254


class _Network(nn.Module):
    """A few random filters: enough to have a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 6, 7, 4, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(7))
        self.head = nn.Linear(6 * 49, 16)

    def forward(self, images: Tensor) -> Tensor:
        features = self.trunk(images / 128 - 1).flatten(1)
        return nn.functional.normalize(self.head(features - features.mean(1, keepdim=True)), dim=1)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of coarse noise, one picture black and white: there a step against the wall changes nothing."""
    folder = tmp_path_factory.mktemp("kit")
    (folder / "pairs").mkdir()
    (folder / "surrogates").mkdir()
    limits = {"patches": 5, "area": 0.10, "connectivity": 4}
    (folder / "stage.json").write_text(json.dumps({"stage": "face/preliminary", "limits": limits}))
    rng = np.random.default_rng(5)
    for number in range(1, PAIRS + 1):
        for suffix in ("", "_compare"):
            picture = np.kron(rng.integers(0, 256, (7, 7, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8))
            if number == 2 and not suffix:
                picture[:, :56], picture[:, 56:] = 0, 255
            Image.fromarray(picture).save(folder / "pairs" / f"{number:04d}{suffix}.png")
    torch.manual_seed(1)
    for name in ("plain", "residual"):
        torch.jit.script(_Network().eval()).save(str(folder / "surrogates" / f"surrogate-{name}.pt"))
    return folder


@pytest.fixture(autouse=True)
def as_a_script(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Import the starter's files as Python does for a script; forget them and torch's settings afterwards."""
    monkeypatch.syspath_prepend(STARTER)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    for module in ("attack", "gradients", "masks", "pictures"):
        sys.modules.pop(module, None)


def _attack(kit: Path, attack: str, out: Path, *more: str) -> int:
    import attack as script  # type: ignore[import-not-found]

    code: int = script.main([str(kit), "--attack", attack, "--out", str(out), "--steps", "2", "--threads", "1", *more])
    return code


def _pictures(archive: Path) -> dict[str, NDArray[np.uint8]]:
    with zipfile.ZipFile(archive) as opened:
        images = {name: Image.open(io.BytesIO(opened.read(name))) for name in opened.namelist()}
    assert {image.mode for image in images.values()} == {"RGB"}
    return {name: np.asarray(image) for name, image in images.items()}


def _original(kit: Path, name: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(kit / "pairs" / name))


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_picture_of_the_zip_keeps_the_rules(attack: str, kit: Path, tmp_path: Path) -> None:
    assert _attack(kit, attack, tmp_path / "my.zip") == 0
    pictures = _pictures(tmp_path / "my.zip")
    assert list(pictures) == [f"{number:04d}.png" for number in range(1, PAIRS + 1)]
    for name, picture in pictures.items():
        assert picture.shape == (112, 112, 3)
        differs = (picture != _original(kit, name)).any(axis=-1)
        assert ndimage.label(differs)[1] <= 5
        assert 1000 < differs.sum() <= PIXELS


@pytest.mark.parametrize("attack", ["rectangle", "mi"])
def test_the_whole_mask_changes_and_nothing_else(attack: str, kit: Path, tmp_path: Path) -> None:
    _attack(kit, attack, tmp_path / "my.zip")
    import masks

    mask = {"rectangle": masks.eye_rectangle, "mi": masks.fence}[attack](PIXELS)
    for name, picture in _pictures(tmp_path / "my.zip").items():
        np.testing.assert_array_equal((picture != _original(kit, name)).any(axis=-1), mask)


def test_the_ensemble_changes_whole_veils_and_nothing_else(kit: Path, tmp_path: Path) -> None:
    _attack(kit, "ensemble", tmp_path / "my.zip")
    import gradients
    import masks
    import pictures

    worths = gradients.pixel_worth(
        gradients.load_surrogates(kit), pictures.read_pairs(kit), 0, 2, lambda done, total: None
    )
    for worth, (name, picture) in zip(worths, _pictures(tmp_path / "my.zip").items(), strict=True):
        differs = (picture != _original(kit, name)).any(axis=-1)
        np.testing.assert_array_equal(differs, masks.veil(PIXELS, worth))


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_same_seed_gives_the_same_bytes(attack: str, kit: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    _attack(kit, attack, first, "--seed", "3")
    _attack(kit, attack, second, "--seed", "3")
    assert first.read_bytes() == second.read_bytes()


def test_threads_do_not_change_the_zip(kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gradients  # type: ignore[import-not-found]

    monkeypatch.setattr(gradients, "BATCH", 1)
    _attack(kit, "ensemble", tmp_path / "one.zip")
    _attack(kit, "ensemble", tmp_path / "three.zip", "--threads", "3")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "three.zip").read_bytes()


def test_a_picture_does_not_depend_on_how_many_follow(kit: Path, tmp_path: Path) -> None:
    _attack(kit, "ensemble", tmp_path / "all.zip")
    _attack(kit, "ensemble", tmp_path / "one.zip", "--images", "1")
    few, many = _pictures(tmp_path / "one.zip"), _pictures(tmp_path / "all.zip")
    assert list(few) == ["0001.png"]
    assert np.abs(few["0001.png"].astype(int) - many["0001.png"]).mean() < 0.1


@pytest.mark.parametrize("attack", ["mi", "ensemble"])
def test_the_surrogates_find_the_pictures_more_similar(attack: str, kit: Path, tmp_path: Path) -> None:
    _attack(kit, attack, tmp_path / "my.zip", "--steps", "8")
    network = torch.jit.load(str(kit / "surrogates" / "surrogate-plain.pt"))

    def embed(pictures: list[NDArray[np.uint8]]) -> Tensor:
        batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
        return nn.functional.normalize(network(batch) + network(batch.flip(3)), dim=1)

    pictures = _pictures(tmp_path / "my.zip")
    target = embed([_original(kit, name.replace(".png", "_compare.png")) for name in pictures])
    before = (embed([_original(kit, name) for name in pictures]) * target).sum(1)
    after = (embed(list(pictures.values())) * target).sum(1)
    assert (after > before).all()


@pytest.mark.parametrize("pixels", [400, 1254, 3000])
@pytest.mark.parametrize("attack", ATTACKS)
def test_masks_fill_the_legal_area_with_one_patch(attack: str, pixels: int) -> None:
    import masks

    worth = ndimage.gaussian_filter(np.random.default_rng(2).random((112, 112)), 2).astype(np.float32)
    make = {"rectangle": masks.eye_rectangle, "mi": masks.fence, "ensemble": lambda area: masks.veil(area, worth)}
    mask = make[attack](pixels)
    assert ndimage.label(mask)[1] == 1
    assert 0.75 * pixels < mask.sum() <= pixels


def test_a_veil_goes_where_it_pays() -> None:
    import masks

    worth = np.full((112, 112), 0.01, np.float32)
    worth[20:90, 60:90] = 1.0
    mask = masks.veil(PIXELS, worth)
    assert mask[20:90, 60:90].sum() > 0.9 * mask.sum()


def test_an_illegal_picture_writes_no_zip(kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import attack as script

    chessboard = np.indices((112, 112)).sum(0) % 2 == 0
    monkeypatch.setattr(script, "eye_rectangle", lambda pixels: chessboard)
    assert _attack(kit, "rectangle", tmp_path / "my.zip") == 1
    assert not (tmp_path / "my.zip").exists()


def test_the_script_runs_without_aisc_and_the_rectangle_without_torch(kit: Path, tmp_path: Path) -> None:
    probe = (
        "import runpy, sys\n"
        "try:\n    runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally:\n    print(sorted({name.split('.')[0] for name in sys.modules} & {'aisc', 'torch'}))\n"
    )
    command = [str(STARTER / "attack.py"), str(kit), "--attack", "rectangle", "--out", str(tmp_path / "my.zip")]
    run: Any = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv = {command!r}; sys.path.insert(0, {str(STARTER)!r})\n{probe}"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "[]" in run.stdout, run.stderr
    assert (tmp_path / "my.zip").is_file()
