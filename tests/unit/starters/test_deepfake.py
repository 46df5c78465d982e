"""The deepfake track's starters: measures against scikit-learn, whole runs on tiny tasks, training on tiny sets."""

import ast
import csv
import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from aisc.tracks.deepfake import check_result

STARTER = Path(__file__).parents[3] / "images" / "starters" / "deepfake"
PROGRAMS = sorted(path.stem for path in STARTER.glob("*.py"))
RECIPES = sorted(path.stem for path in (STARTER / "train").glob("*.py"))
METHODS = (
    "fused-novelty",
    "pseudo-entropy",
    "clean-merge",
    "range-extra-class",
    "centre-spectral",
    "supervised",
    "untrained",
    "random",
)


@pytest.fixture(autouse=True)
def as_a_script(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Import the starter's files as Python does for a script; forget them and torch's settings afterwards."""
    monkeypatch.syspath_prepend(STARTER / "train")
    monkeypatch.syspath_prepend(STARTER)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    threads = torch.get_num_threads()
    path = list(sys.path)
    yield
    sys.path[:] = path
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    for module in (*PROGRAMS, *RECIPES):
        sys.modules.pop(module, None)


def _pictures(folder: Path, names: list[str], rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    for name in names:
        smooth = np.kron(rng.integers(40, 200, (7, 7, 3)), np.ones((16, 16, 1)))
        noise = rng.normal(0, rng.uniform(1, 8), (112, 112, 3))
        Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8)).save(folder / f"{name}.png")


def _task(folder: Path, *, novelty: bool, probes: int = 6, gallery: int = 30) -> Path:
    rng = np.random.default_rng(8)
    names = [f"{number:016x}" for number in rng.permutation(probes + gallery)]
    _pictures(folder / "probe", names[:probes], rng)
    _pictures(folder / "gallery", names[probes:], rng)
    task = {
        "format": "aisc.deepfake-task/1",
        "stage": "final" if novelty else "preliminary",
        "neighbours": 5,
        "novelty": novelty,
        "probes": probes,
        "gallery": gallery,
        "result": "result.csv",
    }
    (folder / "task.json").write_text(json.dumps(task))
    return folder


def _run(task: Path, output: Path, method: str) -> list[dict[str, str]]:
    output.mkdir()
    assert import_module("run").main(["--method", method, "--input", str(task), "--output", str(output)]) == 0
    with (output / "result.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _blobs(count: int, each: int, spread: float, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    middles = np.repeat(np.eye(count, 12), each, axis=0)
    return _unit(middles + spread * rng.standard_normal(middles.shape)), np.repeat(np.arange(count), each)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_answers_a_final_as_the_rules_want(method: str, tmp_path: Path) -> None:
    task = _task(tmp_path / "task", novelty=True)
    rows = _run(task, tmp_path / "out", method)
    assert sorted(row["probe"] for row in rows) == sorted(path.stem for path in (task / "probe").iterdir())
    gallery = {path.stem for path in (task / "gallery").iterdir()}
    for row in rows:
        assert len({row[f"g{rank}"] for rank in range(1, 6)} & gallery) == 5
        likeness = [float(row[f"s{rank}"]) for rank in range(1, 6)]
        assert likeness == sorted(likeness, reverse=True)
        assert 0 <= float(row["novelty"]) <= 1
    assert not check_result(tmp_path / "out" / "result.csv", task).listed


def test_the_preliminary_has_no_novelty(tmp_path: Path) -> None:
    rows = _run(_task(tmp_path / "task", novelty=False), tmp_path / "out", "supervised")
    assert list(rows[0]) == ["probe", *(f"g{rank}" for rank in range(1, 6)), *(f"s{rank}" for rank in range(1, 6))]


@pytest.mark.parametrize("method", ["fused-novelty", "pseudo-entropy", "random"])
def test_T45_other_names_in_another_order_change_nothing(method: str, tmp_path: Path) -> None:
    task = _task(tmp_path / "task", novelty=True)
    before = _run(task, tmp_path / "before", method)
    renamed: dict[str, str] = {}
    paths = [*sorted((task / "probe").iterdir()), *sorted((task / "gallery").iterdir())]
    for number, path in enumerate(reversed(paths)):
        renamed[path.stem] = f"{number:016x}"
        path.rename(path.with_name(f"new-{number:016x}.png"))
    for path in [*(task / "probe").iterdir(), *(task / "gallery").iterdir()]:
        path.rename(path.with_name(path.name.removeprefix("new-")))
    after = _run(task, tmp_path / "after", method)
    translated = [{key: renamed.get(value, value) for key, value in row.items()} for row in before]
    assert sorted(translated, key=lambda row: row["probe"]) == after


def test_T45_a_probe_gets_the_same_answer_without_the_others(tmp_path: Path) -> None:
    task = _task(tmp_path / "task", novelty=True)
    together = {row["probe"]: row for row in _run(task, tmp_path / "before", "fused-novelty")}
    kept, *others = sorted((task / "probe").iterdir())
    for path in others:
        path.unlink()
    (alone,) = _run(task, tmp_path / "after", "fused-novelty")
    assert [alone[f"g{rank}"] for rank in range(1, 6)] == [together[kept.stem][f"g{rank}"] for rank in range(1, 6)]
    assert float(alone["novelty"]) == pytest.approx(float(together[kept.stem]["novelty"]), abs=1e-5)


def test_programs_need_nothing_that_the_image_lacks() -> None:
    allowed = {"numpy", "onnxruntime", "PIL", *PROGRAMS}
    for program in PROGRAMS:
        for node in ast.walk(ast.parse((STARTER / f"{program}.py").read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                assert name.split(".")[0] in allowed | sys.stdlib_module_names, f"{program}: {name}"


def test_weights_are_small_and_there_for_every_method() -> None:
    found = {path.stem: path.stat().st_size for path in (STARTER / "weights").glob("*.onnx")}
    assert set(found) == set(METHODS) - {"random"}
    assert max(found.values()) <= 1_000_000


def test_single_measures_agree_with_scikit_learn() -> None:
    novelty = import_module("novelty")
    gallery, _ = _blobs(4, 40, 0.3, 1)
    probes, _ = _blobs(6, 5, 0.3, 2)
    nearest = NearestNeighbors(n_neighbors=novelty.KNN, metric="cosine").fit(gallery)
    assert novelty.knn(probes, gallery) == pytest.approx(nearest.kneighbors(probes)[0].mean(1), abs=1e-5)
    assert novelty.knn(gallery, gallery, own=True) == pytest.approx(nearest.kneighbors()[0].mean(1), abs=1e-5)
    factor = LocalOutlierFactor(n_neighbors=novelty.LOF_NEIGHBOURS, novelty=True).fit(gallery)
    assert novelty.lof(probes, gallery) == pytest.approx(np.log(-factor.score_samples(probes)), abs=1e-4)
    own = np.log(-factor.negative_outlier_factor_)
    assert novelty.lof(gallery, gallery, own=True) == pytest.approx(own, abs=1e-4)


def test_k_means_finds_blobs_and_repeats_itself() -> None:
    novelty = import_module("novelty")
    vectors, truth = _blobs(5, 30, 0.1, 3)
    centres = novelty.spherical_k_means(vectors, 5)
    assert adjusted_rand_score(truth, np.argmax(vectors @ centres.T, axis=1)) == 1
    assert np.array_equal(centres, novelty.spherical_k_means(vectors, 5))


def test_the_fused_measure_finds_what_is_new_and_is_a_probability() -> None:
    novelty = import_module("novelty")
    fitted = import_module("calibrate").calibrate(*_blobs(5, 60, 0.25, 4), seed=0)
    gallery, _ = _blobs(4, 40, 0.25, 5)
    probes, methods = _blobs(6, 20, 0.25, 6)
    measures = novelty.measure(probes, gallery, fitted.clusters)
    fused = novelty.fuse(measures, fitted)
    assert fused.min() >= 0
    assert fused.max() <= 1
    assert fitted.weights.min() >= 0
    aucs = [roc_auc_score(methods >= 4, scores) for scores in (fused, *measures)]
    assert aucs[0] > 0.95
    assert aucs[0] >= max(aucs[1:]) - 0.01


def test_the_entropy_is_clamped_where_it_is_undefined() -> None:
    novelty = import_module("novelty")
    gallery, _ = _blobs(8, 5, 0.01, 7)
    # Cosines of 1 and 0 at this temperature: all shares but one underflow to 0.
    sharp = novelty.centre_entropy(gallery, gallery, temperature=1e-4)
    assert np.isfinite(sharp).all()
    assert sharp == pytest.approx(np.zeros(len(gallery)), abs=1e-6)
    between = _unit(np.ones((1, 12)))
    assert novelty.centre_entropy(between, gallery)[0] > 0.8


def test_the_best_are_stable_among_equals() -> None:
    neighbours = import_module("neighbours")
    found = neighbours.most_similar(np.array([[0.1, 0.5, 0.9, 0.5, 0.5, 0.2]]), 4)
    assert found.indices.tolist() == [[2, 1, 3, 4]]
    assert found.similarities.tolist() == [[0.9, 0.5, 0.5, 0.5]]


def test_the_spectrum_is_that_of_numpy() -> None:
    network = import_module("network")
    pictures = np.random.default_rng(9).uniform(0, 255, (2, 3, 48, 40)).astype(np.float32)
    window = np.outer(*[np.hanning(18)[1:-1]] * 2)
    wanted = []
    for picture in pictures - 128:
        for colour in network._COLOURS:
            plane = np.tensordot(colour, picture, (0, 0))
            powers = [
                np.abs(np.fft.rfft2(plane[top : top + 16, left : left + 16] * window)).T ** 2
                for top in range(0, 33, 8)
                for left in range(0, 25, 8)
            ]
            wanted += [np.mean([np.log(power + 1) for power in powers], 0), np.log(np.mean(powers, 0) + 1)]
    got = network.Spectrum()(torch.from_numpy(pictures))
    assert got.numpy().ravel() == pytest.approx(np.ravel(wanted), abs=1e-3)


def test_groupings_find_blobs() -> None:
    grouping = import_module("grouping")
    vectors, truth = _blobs(7, 30, 0.1, 10)
    known = grouping.Known(vectors[truth < 4], truth[truth < 4])
    nameless, wanted = vectors[truth >= 4], truth[truth >= 4]
    assert grouping.guess_count(nameless, 0) == 3
    for found in (
        grouping.k_means(nameless, 3, 0),
        grouping.spectral(nameless, 3, 0),
        grouping.semi_supervised_k_means(nameless, known, 3, 0),
        grouping.merged_groups(nameless, known, 8, 0),
    ):
        assert adjusted_rand_score(wanted, found) == 1


def test_semi_supervised_k_means_gives_the_named_no_group() -> None:
    grouping = import_module("grouping")
    vectors, truth = _blobs(6, 30, 0.1, 11)
    known = grouping.Known(vectors[truth < 3], truth[truth < 3])
    stray, _ = _blobs(1, 5, 0.1, 12)
    found = grouping.semi_supervised_k_means(np.concatenate([vectors[truth >= 3], stray]), known, 3, 0)
    assert (found[-5:] == -1).all()
    assert (found[:-5] >= 0).all()


@pytest.mark.parametrize("method", ["fused-novelty", "pseudo-entropy", "clean-merge", "centre-spectral"])
def test_training_writes_a_network_that_the_program_reads(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _training_set(tmp_path / "set")
    monkeypatch.setattr(import_module("recipes"), "BASIC", 128)
    monkeypatch.setattr(import_module("recipes"), "FURTHER", 64)
    script: Any = import_module("train")
    words = [str(folder), "--method", method, "--out", str(tmp_path / "weights"), "--work", str(tmp_path / "work")]
    assert script.main(words) == 0
    monkeypatch.setattr(import_module("run"), "WEIGHTS", tmp_path / "weights")
    assert len(_run(_task(tmp_path / "task", novelty=True), tmp_path / "out", method)) == 6


def _training_set(folder: Path) -> Path:
    rng = np.random.default_rng(13)
    names = [f"{number:016x}" for number in rng.permutation(64)]
    _pictures(folder / "train" / "images", names, rng)
    labels = ["", "", "comb", "halo"]
    rows = [f"{name},{labels[number % 4]}\n" for number, name in enumerate(names)]
    (folder / "train" / "labels.csv").write_text("id,label\n" + "".join(rows))
    return folder
