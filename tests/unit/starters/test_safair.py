"""SAFAIR's starters: whole runs on a few faces, attacks where a linear model is exact, training on tiny kits."""

import ast
import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from aisc.attacks.objectives import away_from
from aisc.attacks.projected import BIM, attack_pictures
from aisc.datasets.attribute_faces import Faces, read_description, read_faces, read_pictures
from aisc.evaluations.safair_inputs import (
    attack_facts,
    defence_facts,
    write_attack_inputs,
    write_pictures,
    write_surrogate,
)
from aisc.sandbox.starters import starter_folder
from aisc.submission.altered_images import Outcome, read_altered
from aisc.submission.predictions import ask_attributes, ask_people, read_predictions
from aisc.synthetic.attributes.dataset import FacesSpec, make_faces
from aisc.tracks.safair_limits import AttackLimits, DefenceLimits
from aisc.victims.builtin import builtin_package
from aisc.victims.classifier import answers, open_classifier
from aisc.victims.classifier_models import load_classifier
from aisc.victims.classifier_networks import ClassifierArchitecture, ClassifierNetwork
from aisc.victims.classifier_package import Task, load_classifier_package
from aisc.victims.onnx_gradients import load_onnx

STARTERS = Path(__file__).parents[3] / "images" / "starters"
SIDES = ("attack", "defence")
TASKS: tuple[Task, ...] = ("reid", "attributes")
WITHIN = ("noise", "fgsm", "bim", "pgd", "mi", "own-pgd")
DEFENCES = ("none", "fgsm-training", "pgd-training", "denoising", "jpeg-blur")
IMAGES = 6


@pytest.fixture(autouse=True)
def as_a_script(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave behind no module of a starter, and torch as it was."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    threads, path = torch.get_num_threads(), list(sys.path)
    _forget()
    yield
    sys.path[:] = path
    torch.set_num_threads(threads)
    _forget()


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Task], Path]:
    """Give a kit with a few faces of a task."""
    place, made = tmp_path_factory.mktemp("kits"), {}

    def give(task: Task) -> Path:
        if task not in made:
            (place / task).mkdir()
            make_faces(FacesSpec(task, 5, hidden=IMAGES, train=16, val=1), place / task / "faces")
            made[task] = place / task
        return made[task]

    return give


def _forget() -> None:
    for side in SIDES:
        for path in (STARTERS / f"safair-{side}").rglob("*.py"):
            sys.modules.pop(path.stem, None)


def _module(side: str, name: str) -> Any:
    """Import a starter's file as Python does for a script."""
    folder = STARTERS / f"safair-{side}"
    for place in (folder / "train", folder):
        if str(place) not in sys.path:
            sys.path.insert(0, str(place))
    return import_module(name)


def _hidden(kit: Path) -> tuple[Faces, NDArray[np.uint8]]:
    found = read_faces(kit / "faces", "hidden")
    return found, read_pictures(kit / "faces", "hidden", found.names)


def _attack_input(kit: Path, folder: Path, chosen: list[int], names: list[str]) -> Path:
    folder.mkdir()
    described = read_description(kit / "faces")
    found, pictures = _hidden(kit)
    write_surrogate(builtin_package(f"{described.task}-undefended"), folder)
    facts = attack_facts(described, len(chosen), AttackLimits())
    write_attack_inputs(folder, names, pictures[chosen], found.goals[chosen], facts)
    return folder


def _attack(kit: Path, place: Path, method: str, chosen: list[int] | None = None, stem: str = "") -> Path:
    chosen = list(range(IMAGES)) if chosen is None else chosen
    given = _attack_input(kit, place / f"input{stem}", chosen, [f"{stem}{index}.png" for index in chosen])
    output = place / f"output{stem}-{method}"
    assert _module("attack", "run").main(["--method", method, "--input", str(given), "--output", str(output)]) == 0
    return output


def _defend(kit: Path, place: Path, method: str, chosen: list[int], names: list[str]) -> Path:
    given, output = place / f"{names[0]}-input", place / f"{names[0]}-output-{method}"
    given.mkdir()
    _, pictures = _hidden(kit)
    write_pictures(given, names, pictures[chosen])
    facts = defence_facts(read_description(kit / "faces"), len(chosen), DefenceLimits())
    (given / "task.json").write_text(json.dumps(facts))
    assert _module("defence", "run").main(["--method", method, "--input", str(given), "--output", str(output)]) == 0
    return output / "predictions.csv"


def _linear(weights: NDArray[np.float64], shift: float = 0.0) -> Callable[[torch.Tensor], torch.Tensor]:
    """Give a model whose two logits are half a linear function of the grey levels, up and down."""
    plane = torch.from_numpy(weights.astype(np.float32))

    def model(image: torch.Tensor) -> torch.Tensor:
        value = (plane * image).sum() + shift
        return torch.stack([-value / 2, value / 2])[None]

    return model


def _pixels(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (112, 112, 3), dtype=np.uint8)


@pytest.mark.parametrize("task", TASKS)
def test_attacks_stay_within_epsilon_in_whole_grey_levels(
    task: Task, faces: Callable[[Task], Path], tmp_path: Path
) -> None:
    _, pictures = _hidden(faces(task))
    for method in (*WITHIN, *(["targeted-pgd"] if task == "reid" else [])):
        (tmp_path / method).mkdir()
        made = _attack(faces(task), tmp_path / method, method)
        out = np.empty_like(pictures)
        report = read_altered(made, [f"{index}.png" for index in range(IMAGES)], pictures, out)
        assert (report.outcomes == Outcome.OK).all(), method
        assert report.changes.max() <= 8
        assert sorted(path.name for path in made.iterdir()) == [f"{index}.png" for index in range(IMAGES)]


def test_carlini_wagner_is_refused_image_by_image(faces: Callable[[Task], Path], tmp_path: Path) -> None:
    _, pictures = _hidden(faces("reid"))
    made = _attack(faces("reid"), tmp_path, "cw")
    report = read_altered(made, [f"{index}.png" for index in range(IMAGES)], pictures, np.empty_like(pictures))
    assert set(report.outcomes.tolist()) == {Outcome.OK, Outcome.OVER_EPSILON}
    assert report.counts.tolist() == (report.changes <= 8).tolist()


@pytest.mark.parametrize("method", ["noise", "pgd", "own-pgd", "mi", "cw"])
def test_T45_an_attack_alters_a_picture_alike_in_other_company(
    method: str, faces: Callable[[Task], Path], tmp_path: Path
) -> None:
    together = _attack(faces("attributes"), tmp_path, method, [0, 1, 2])
    fewer = _attack(faces("attributes"), tmp_path, method, [2, 0], stem="other")
    for index in (0, 2):
        assert (together / f"{index}.png").read_bytes() == (fewer / f"other{index}.png").read_bytes()


@pytest.mark.parametrize("name", ["fgsm", "bim", "pgd", "mi"])
def test_signed_steps_reach_the_corner_that_is_best_for_a_linear_model(name: str) -> None:
    weights = np.random.default_rng(1).normal(0, 1, (1, 3, 112, 112)) / 1000
    pixels, steps = _pixels(2), _module("attack", "run").STEPS[name]
    found = _module("attack", "steps").climb(
        [_linear(weights)], _module("attack", "aims").away_from(0), pixels, 8, steps
    )
    best = np.clip(pixels + 8 * np.sign(weights[0].transpose(1, 2, 0)), 0, 255)
    assert np.array_equal(found, best.astype(np.uint8))


def test_momentum_remembers_and_single_steps_forget() -> None:
    """On a model whose slope turns around on the way, the old direction goes on for a while."""
    steps, aims = _module("attack", "steps"), _module("attack", "aims")

    def hill(image: torch.Tensor) -> torch.Tensor:
        value = -(image - 103.0).square().sum() / 1e6  # highest three levels above the picture
        return torch.stack([-value / 2, value / 2])[None]

    pixels = np.full((112, 112, 3), 100, np.uint8)
    there = {
        decay: int(steps.climb([hill], aims.away_from(0), pixels, 8, steps.Steps(3, 1 / 4, decay=decay))[0, 0, 0])
        for decay in (0.0, 0.9)
    }
    # Slopes 1, 1, -1: without memory 102, 104, 102; summed up they are 1, 1.9 and 0.71, so 102, 104, 106.
    assert there == {0.0: 102, 0.9: 106}


def test_bim_is_the_probe_of_that_name(faces: Callable[[Task], Path], tmp_path: Path) -> None:
    _, pictures = _hidden(faces("reid"))
    network = load_classifier(load_classifier_package(builtin_package("reid-undefended")))
    seen = answers("reid", open_classifier(builtin_package("reid-undefended")).logits(pictures))[:, 0]
    wanted = attack_pictures(network, away_from, pictures, seen, BIM, batch=1)
    made = _attack(faces("reid"), tmp_path, "bim")
    got = np.stack([np.asarray(Image.open(made / f"{index}.png")) for index in range(IMAGES)])
    assert (got == wanted).mean() > 0.99


def test_targeted_steps_reach_their_targets(faces: Callable[[Task], Path], tmp_path: Path) -> None:
    found, _ = _hidden(faces("reid"))
    made = _attack(faces("reid"), tmp_path, "targeted-pgd")
    got = np.stack([np.asarray(Image.open(made / f"{index}.png")) for index in range(IMAGES)])
    said = answers("reid", open_classifier(builtin_package("reid-undefended")).logits(got))
    assert (said == found.goals).mean() > 0.8


def test_attributes_turn_each_against_what_is_seen() -> None:
    aims = _module("attack", "aims")
    seen = torch.tensor([True, False, True])
    aim, lead = aims.turn(seen, [0, 1]), aims.lead_turned(seen, [0, 1])
    assert float(aim(torch.tensor([[-5.0, 5.0, 9.0]]))) == pytest.approx(2 * np.log1p(np.exp(5)))
    assert lead(torch.tensor([[-5.0, 3.0, 9.0]])).tolist() == [5, 3]
    assert lead(torch.tensor([[4.0, -3.0, -9.0]])).tolist() == [-4, -3]


def test_carlini_wagner_finds_the_nearest_point_of_a_linear_border(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest change under which a linear function rises by `d` has the length `d / |w|`."""
    cw, aims = _module("attack", "carlini_wagner"), _module("attack", "aims")
    monkeypatch.setattr(cw, "STEPS", 300)  # fine steps come nearer than the program has time for
    monkeypatch.setattr(cw, "RATE", 0.002)
    direction = np.random.default_rng(3).normal(0, 1, (1, 3, 112, 112))
    weights = direction / np.linalg.norm(direction) * 5 / 300  # a border 300 grey levels away, 1.5 a channel
    pixels = np.random.default_rng(4).integers(64, 192, (112, 112, 3), dtype=np.uint8)
    value = float((weights[0] * pixels.transpose(2, 0, 1)).sum())
    found = cw.smallest_change(_linear(weights, -value - 5), aims.lead_away_from(0), pixels).astype(float)
    change = (found - pixels).transpose(2, 0, 1)
    nearest = (5 + cw.CONFIDENCE) / 5 * 300
    assert (weights[0] * change).sum() >= 5
    assert nearest * 0.97 < np.linalg.norm(change) < nearest * 1.3


def test_an_end_of_time_leaves_whole_pictures(faces: Callable[[Task], Path], tmp_path: Path) -> None:
    chosen = [index % IMAGES for index in range(60)]
    names = [f"{place:02}.png" for place in range(60)]
    given, output = _attack_input(faces("reid"), tmp_path / "input", chosen, names), tmp_path / "output"
    words = [sys.executable, "-B", str(STARTERS / "safair-attack" / "run.py"), "--method", "pgd"]
    with subprocess.Popen([*words, "--input", str(given), "--output", str(output)], stdout=subprocess.DEVNULL) as child:
        while child.poll() is None and not list(output.glob("*.png")):
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
    _, pictures = _hidden(faces("reid"))
    report = read_altered(output, names, pictures[chosen], np.empty_like(pictures[chosen]))
    assert {Outcome.OK, Outcome.MISSING} == set(report.outcomes.tolist())


@pytest.mark.parametrize("side", SIDES)
def test_an_unknown_method_is_named(side: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        _module(side, "run").main(["--method", "magic"])
    assert ended.value.code == 2
    assert "'magic'" in capsys.readouterr().err


def test_targeted_steps_are_for_reid(faces: Callable[[Task], Path], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="targeted-pgd is for reid"):
        _attack(faces("attributes"), tmp_path, "targeted-pgd")


@pytest.mark.parametrize("side", SIDES)
def test_a_task_of_the_other_side_is_refused(side: str, tmp_path: Path) -> None:
    (tmp_path / "task.json").write_text(json.dumps({"format": "aisc.other/1"}))
    with pytest.raises(SystemExit, match=f"aisc.safair-{side}/1"):
        _module(side, "run").main(["--method", "none" if side == "defence" else "pgd", "--input", str(tmp_path)])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("method", DEFENCES)
def test_defences_answer_as_asked_and_mostly_right(
    method: str, task: Task, faces: Callable[[Task], Path], tmp_path: Path
) -> None:
    described, (truth, _) = read_description(faces(task) / "faces"), _hidden(faces(task))
    names = [f"{index}.png" for index in range(IMAGES)]
    table = _defend(faces(task), tmp_path, method, list(range(IMAGES)), names)
    question = ask_people(names, 100) if task == "reid" else ask_attributes(names, described.attributes)
    report = read_predictions(table, question)
    assert not report.findings.listed
    assert report.answers is not None
    wanted = truth.people[:, None] if task == "reid" else truth.attributes.astype(int)
    assert (report.answers.values == wanted).mean() > 0.6


@pytest.mark.parametrize("method", ["denoising", "jpeg-blur"])
def test_T45_a_defence_answers_alike_in_other_company(
    method: str, faces: Callable[[Task], Path], tmp_path: Path
) -> None:
    kit = faces("attributes")
    rows = {}
    for chosen, names in (([0, 1, 2, 3], ["a0.png", "a1.png", "a2.png", "a3.png"]), ([3, 1], ["b3.png", "b1.png"])):
        with _defend(kit, tmp_path, method, chosen, names).open(newline="") as file:
            rows |= {row.pop("image"): row for row in csv.DictReader(file)}
    assert rows["a3.png"] == rows["b3.png"]
    assert rows["a1.png"] == rows["b1.png"]


@pytest.mark.parametrize("method", DEFENCES)
def test_a_defence_hands_over_its_model_where_it_is_wanted(
    method: str, faces: Callable[[Task], Path], tmp_path: Path
) -> None:
    described, (_, pictures) = read_description(faces("reid") / "faces"), _hidden(faces("reid"))
    facts = defence_facts(described, 0, DefenceLimits()) | {"wanted": "model"}
    (tmp_path / "images").mkdir()
    (tmp_path / "task.json").write_text(json.dumps(facts))
    run = _module("defence", "run")
    assert run.main(["--method", method, "--input", str(tmp_path), "--output", str(tmp_path / "output")]) == 0
    model = load_onnx((tmp_path / "output" / "model.onnx").read_bytes(), tmp_path)
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().requires_grad_()
    logits = model(images)
    assert bool(torch.autograd.grad(logits.sum(), images)[0].any())
    names = [f"{index}.png" for index in range(IMAGES)]
    rows = _defend(faces("reid"), tmp_path, method, list(range(IMAGES)), names).read_text().splitlines()[1:]
    same = [int(row.split(",")[1]) == int(one.argmax()) for row, one in zip(rows, logits, strict=True)]
    assert sum(same) >= IMAGES - (method == "jpeg-blur")


def test_answers_stand_in_the_table_at_once(tmp_path: Path) -> None:
    tables = _module("defence", "task")
    with (tmp_path / "predictions.csv").open("w") as file:
        tables.Table(file, ["image", "person"]).answer("a.png", [3])
        assert (tmp_path / "predictions.csv").read_text() == "image,person\na.png,3\n"


def test_the_network_is_that_of_the_shipped_classifiers() -> None:
    own = _module("attack", "network").Classifier(12).eval()
    shipped = ClassifierNetwork(ClassifierArchitecture((24, 48, 96), 128, 12)).eval()
    for mine, theirs in zip(own.state_dict().values(), shipped.state_dict().values(), strict=True):
        mine.copy_(torch.rand(mine.shape) if mine.dtype == torch.float32 else mine)
        theirs.copy_(mine)
    images = torch.rand(3, 3, 112, 112) * 255
    with torch.no_grad():
        assert torch.allclose(own(images), shipped(images), rtol=1e-4)


@pytest.mark.parametrize("task", TASKS)
def test_weights_are_small_and_fit(task: Task) -> None:
    network, outputs = _module("defence", "network"), 100 if task == "reid" else 12
    denoiser = _module("defence", "denoiser").Denoiser()
    wanted = {"attack": {"own"}, "defence": {"none", "fgsm-training", "pgd-training", "denoising"}}
    for side in SIDES:
        files = {path.stem: path for path in (STARTERS / f"safair-{side}" / "weights").glob(f"{task}-*.safetensors")}
        assert set(files) == {f"{task}-{name}" for name in wanted[side]}
        for name, path in files.items():
            assert path.stat().st_size < 1_000_000
            empty = denoiser if name.endswith("denoising") else network.Classifier(outputs)
            assert not network.load(empty, path).training


def test_weights_for_others_are_refused(tmp_path: Path) -> None:
    network = _module("defence", "network")
    network.save(network.Classifier(7), tmp_path / "seven.safetensors")
    with pytest.raises(SystemExit, match="another number of people"):
        network.load(network.Classifier(8), tmp_path / "seven.safetensors")
    with pytest.raises(SystemExit, match="no such weights"):
        network.load(network.Classifier(8), tmp_path / "eight.safetensors")


def test_jpeg_and_blur_are_what_other_libraries_make_of_them(faces: Callable[[Task], Path]) -> None:
    filters = _module("defence", "filters")
    _, pictures = _hidden(faces("reid"))
    for picture in pictures:
        _, stored = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, filters.QUALITY])
        read = cv2.imdecode(stored, cv2.IMREAD_COLOR)[..., ::-1].astype(float)
        wanted = gaussian_filter(read, (filters.RADIUS, filters.RADIUS, 0), mode="nearest")
        assert np.abs(filters.jpeg_blur(picture) - wanted).mean() < 1.5


def test_a_fresh_denoiser_changes_nothing() -> None:
    half = torch.rand(2, 3, 56, 56) * 255
    assert torch.equal(_module("defence", "denoiser").Denoiser().eval()(half), half)


@pytest.mark.parametrize("task", TASKS)
def test_training_writes_what_the_programs_read(
    task: Task, faces: Callable[[Task], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, lesson, cleaning = (_module("defence", name) for name in ("train", "lesson", "cleaning"))
    monkeypatch.setattr(script, "LESSONS", {name: lesson.Lesson(2, 1) for name in script.LESSONS})
    monkeypatch.setattr(cleaning, "EPOCHS", 1)
    words = ["--kit", str(faces(task)), "--out", str(tmp_path / "weights"), "--work", str(tmp_path / "work")]
    assert script.main(words) == 0
    monkeypatch.setattr(_module("defence", "run"), "WEIGHTS", tmp_path / "weights")
    assert _defend(faces(task), tmp_path, "denoising", [0], ["0.png"]).read_text().count("\n") == 2


def test_the_attackers_training_writes_what_its_program_reads(
    faces: Callable[[Task], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = _module("attack", "train")
    monkeypatch.setattr(script, "LESSON", _module("attack", "lesson").Lesson(1, 0))
    words = ["--kit", str(faces("attributes")), "--out", str(tmp_path / "weights"), "--work", str(tmp_path / "work")]
    assert script.main(words) == 0
    monkeypatch.setattr(_module("attack", "run"), "WEIGHTS", tmp_path / "weights")
    assert len(list(_attack(faces("attributes"), tmp_path, "own-pgd", [0]).iterdir())) == 1


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(faces: Callable[[Task], Path], tmp_path: Path) -> None:
    lesson, album = _module("defence", "lesson"), _module("defence", "faces").read_faces(faces("reid"))
    torch.set_num_threads(1)
    whole = lesson.teach(album, lesson.Lesson(2, 1), tmp_path / "whole")

    class StoppedError(Exception):
        pass

    def stop(*words: Any) -> None:
        raise StoppedError

    kept = lesson.attacked
    lesson.attacked = stop  # the second epoch is the first that attacks
    with pytest.raises(StoppedError):
        lesson.teach(album, lesson.Lesson(2, 1), tmp_path / "cut")
    lesson.attacked = kept
    again = lesson.teach(album, lesson.Lesson(2, 1), tmp_path / "cut")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


@pytest.mark.parametrize("side", SIDES)
def test_programs_need_nothing_that_the_image_lacks(side: str) -> None:
    folder = STARTERS / f"safair-{side}"
    own = {path.stem for path in folder.rglob("*.py")}
    for program in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(program.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                known = {"numpy", "PIL", "torch", "safetensors"} | own | sys.stdlib_module_names
                assert name.split(".")[0] in known, f"{program}: {name}"


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("side", SIDES)
def test_both_tasks_of_a_side_share_a_kit(task: Task, side: str) -> None:
    assert starter_folder(f"{task}-{side}") == STARTERS / f"safair-{side}"
    assert (starter_folder(f"{task}-{side}") / "run.py").is_file()
