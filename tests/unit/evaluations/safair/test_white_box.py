"""White-box probes from receipt to verdict: an honest model is probed and counts, a false one does not pay."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from aisc.attacks.objectives import away_from
from aisc.attacks.projected import PGD, attack_pictures
from aisc.datasets.attribute_faces import Faces, read_pictures
from aisc.errors import PlatformError
from aisc.evaluations import evaluation_of
from aisc.evaluations.safair_inputs import open_hidden, write_pictures
from aisc.evaluations.safair_probes import PROBES, WHITE_BOX, white_box_pictures
from aisc.evaluations.safair_white_box import AGREEMENT, BY_MODEL, BY_TRANSFER, GRADIENT, false_model, model_of, worse
from aisc.stages.evidence import evidence_table
from aisc.stages.rank_stage import rank_stage
from aisc.stages.sweep_stage import resolve_version
from aisc.submission.predictions import Answers
from aisc.tracks.safair import rightness
from aisc.tracks.safair_limits import DefenceLimits
from aisc.victims import model_process, model_worker
from aisc.victims.builtin import builtin_package
from aisc.victims.classifier_models import export_classifier, load_classifier
from aisc.victims.classifier_package import load_classifier_package

TRACK, STAGE = "reid-defence", "reid-defence/initial"
IMAGES = 24
PEOPLE = 100


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Give models as teams have them: as participants receive the surrogate, and as a cheat would alter it."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("reid-undefended", "reid-fgsm", "attributes-fgsm"):
        export_classifier(load_classifier_package(builtin_package(name)), folder)
    found = {name: folder / f"{name}.onnx" for name in ("reid-undefended", "reid-fgsm", "attributes-fgsm")}
    # Equal answers, but so sure of them that the gradient of the cross entropy vanishes.
    sure = onnx.load(found["reid-undefended"])
    (last,) = (node for node in sure.graph.node if "logits" in node.output)
    last.output[0] = "unsure"
    sure.graph.initializer.append(numpy_helper.from_array(np.array(1e6, np.float32), "million"))
    sure.graph.node.append(helper.make_node("Mul", ["unsure", "million"], ["logits"]))
    found["sure"] = folder / "sure.onnx"
    onnx.save(sure, found["sure"])
    return found


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Do a worker's jobs in this process, which saves it the import of torch; the process itself has its own tests."""
    done = []

    def run(words: str, place: str, threads: int, seconds: float) -> int:
        job = json.loads(words)
        done.append(job["what"])
        arrays = {path.stem: np.load(path) for path in Path(place).glob("*.npy")}
        with Path(place, model_process.RESULT).open("wb") as result:
            return model_worker.work(job, Path(job["model"]).read_bytes(), arrays, result)

    monkeypatch.setattr(model_process, "_run", run)
    return done


def defence(used: Path, handed: Path) -> str:
    """Write a defence that answers by one model and hands over another, or the same."""
    return f"""
import onnxruntime
def see(model, names):
    pictures = np.stack([read(name)[..., ::-1].transpose(2, 0, 1) for name in names]).astype(np.float32)
    logits = onnxruntime.InferenceSession(model).run(None, {{"images": pictures}})[0]
    return logits.argmax(1)[:, None] if task["task"] == "reid" else (logits > 0).astype(int)
if task["wanted"] == "model":
    assert not names and task["images"] == 0 and not (source / "goals.csv").exists()
    (target / "model.onnx").write_bytes(open({str(handed)!r}, "rb").read())
else:
    answer(zip(names, see({str(used)!r}, names)))
"""


def white_box(arena: Any, track: str = TRACK, **limits: Any) -> None:
    arena.limit(track, probes="white-box", **limits)


def right_on(model: Path, pictures: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Ask onnxruntime, whatever the walker in torch does."""
    images = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)).astype(np.float32)
    (logits,) = onnxruntime.InferenceSession(model).run(None, {"images": images})
    return logits.argmax(axis=1) == people


@pytest.mark.parametrize("task", ["reid", "attributes"])
def test_an_honest_model_is_probed_and_what_it_loses_counts(arena: Any, models: dict[str, Path], task: str) -> None:
    white_box(arena, f"{task}-defence")
    own = models[f"{task}-fgsm"]
    judged = arena.judge(f"{task}-defence", "A", defence(own, own))
    assert judged.score is not None, judged.record
    assert judged.run.code is None
    parts = judged.score.parts
    assert parts[AGREEMENT] >= 95
    assert parts[GRADIENT] == 100
    assert parts[BY_MODEL] > parts[BY_TRANSFER] + 5, "trained on FGSM of its own, it hardly fears the surrogate's"
    table = evidence_table(arena.bench, judged.run.run_key)
    after = [np.minimum(table[f"{name}_right"], table[f"white-box {name}_right"]).mean() for name in PROBES]
    before = table["clean_right"].mean()
    expected = sum(w * 100 * (before - one) for w, one in zip((0.2, 0.4, 0.4), after, strict=True))
    assert judged.score.value == pytest.approx(expected)
    assert judged.score.value >= max(parts[BY_MODEL], parts[BY_TRANSFER])


def test_white_box_pictures_are_those_of_the_network_itself(arena: Any, models: dict[str, Path]) -> None:
    white_box(arena)
    version = resolve_version(arena.bench, arena.season.stage(STAGE))
    hidden = open_hidden(arena.bench, version)
    model = model_of(models["reid-fgsm"], hidden.described, DefenceLimits.model_validate(version.limits))
    found = white_box_pictures(arena.bench, version, hidden, model)
    network = load_classifier(load_classifier_package(builtin_package("reid-fgsm")))
    own = attack_pictures(
        network, away_from, np.array(hidden.pictures), hidden.faces.people, PGD, seed=version.seed, batch=16
    )
    assert np.mean(own != found["white-box pgd"]) < 0.01, "signs of gradients near 0 differ between two ways to compute"
    clean = right_on(models["reid-fgsm"], hidden.pictures, hidden.faces.people).mean()
    for name in WHITE_BOX:
        change = np.abs(found[name].astype(int) - hidden.pictures)
        assert change.max() == 8, name
        assert right_on(models["reid-fgsm"], found[name], hidden.faces.people).mean() < clean, name


@pytest.mark.parametrize(
    ("used", "handed", "code", "low"),
    [
        ("reid-undefended", "reid-fgsm", "MODEL_NOT_THE_PROGRAM", AGREEMENT),
        ("sure", "sure", "MODEL_HIDES_GRADIENT", GRADIENT),
    ],
    ids=["a robust model that is not used", "a model without a gradient"],
)
def test_a_false_model_never_counts(
    arena: Any, models: dict[str, Path], used: str, handed: str, code: str, low: str
) -> None:
    white_box(arena)
    judged = arena.judge(TRACK, "A", defence(models[used], models[handed]))
    assert judged.score is not None
    assert judged.score.parts["initial accuracy"] >= 70
    assert judged.score.parts[low] < 95
    assert judged.run.code == code
    (row,) = rank_stage(arena.bench, arena.season, STAGE).rows
    assert (row.state, row.score, row.reason_code) == ("void", None, code)
    assert "95 %" in row.reason


def test_a_hidden_gradient_wins_nothing_that_transfer_finds(arena: Any, models: dict[str, Path]) -> None:
    # Half of the answers and of the gradients may be false here, and none of the latter is true.
    white_box(arena, agreement=0.5)
    judged = arena.judge(TRACK, "A", defence(models["sure"], models["sure"]))
    assert judged.score is not None
    assert judged.score.value >= judged.score.parts[BY_TRANSFER] > 70
    assert judged.run.code == "MODEL_HIDES_GRADIENT"


@pytest.mark.parametrize(
    ("agreement", "gradient", "by_transfer", "by_model", "code"),
    [
        (95.0, 95.0, 20.0, 15.0, None),
        (94.9, 100.0, 20.0, 80.0, "MODEL_NOT_THE_PROGRAM"),
        (100.0, 94.9, 20.0, 80.0, "MODEL_HIDES_GRADIENT"),
        (100.0, 100.0, 20.0, 14.9, "MODEL_HIDES_GRADIENT"),
    ],
)
def test_the_bounds_of_a_true_model(
    agreement: float, gradient: float, by_transfer: float, by_model: float, code: str | None
) -> None:
    parts = {AGREEMENT: agreement, GRADIENT: gradient, BY_TRANSFER: by_transfer, BY_MODEL: by_model}
    void = false_model(parts, DefenceLimits(agreement=0.95))
    assert (void and void.code) == code
    assert false_model({}, DefenceLimits()) is None, "a stage that probes by transfer"


def test_of_two_answers_the_worse_one_counts() -> None:
    faces = Faces(("a", "b", "c", "d"), np.arange(4), np.zeros((4, 1), bool), np.zeros((4, 1), np.int64))
    right, wrong, none = 0, 9, -1
    one = np.array([right, wrong, right, right])
    other = np.array([right, right, wrong, none])
    truth = np.arange(4)
    said = [Answers(np.where(who == right, truth, who)[:, None], who != none) for who in (one, other)]
    found = worse("reid", *said, faces, DefenceLimits())
    assert rightness("reid", found, faces).tolist() == [1, 0, 0, 0]


def test_what_is_laid_out_in_a_scratch_folder_can_be_read_by_a_sandboxs_user(arena: Any) -> None:
    with arena.bench.scratch() as scratch:
        write_pictures(scratch, ["a.png"], [np.zeros((112, 112, 3), np.uint8)])
        for path in (scratch, scratch / "images"):
            assert path.stat().st_mode & 0o005 == 0o005
        assert (scratch / "images" / "a.png").stat().st_mode & 0o004


def floor_model() -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Floor", ["images"], ["logits"])], "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 112, 112])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


@pytest.mark.parametrize(
    ("written", "code", "says"),
    [
        (None, "MODEL_MISSING", "without a model"),
        (b"no model at all", "MODEL_NOT_ONNX", "graph"),
        (floor_model(), "MODEL_OPERATOR", "Floor"),
    ],
    ids=["nothing", "no model", "operator"],
)
def test_a_program_without_a_model_is_refused_before_it_sees_a_picture(
    arena: Any, tmp_path: Path, written: bytes | None, code: str, says: str
) -> None:
    white_box(arena)
    program = "assert task['wanted'] == 'model'"
    if written is not None:
        program += f"; (target / 'model.onnx').write_bytes({written!r})"
    judged = arena.judge(TRACK, "A", program)
    assert (judged.run.state, judged.run.code, judged.score) == ("refused", code, None)
    told = (judged.bundle / "findings.md").read_text()
    assert code in told
    assert says in told


def test_on_a_stage_that_probes_by_transfer_no_model_is_asked_for(arena: Any, jobs: list[str]) -> None:
    program = "assert task['wanted'] == 'answers'\n" + arena.oracle() + "answer((n, see(read(n))) for n in names)"
    judged = arena.judge(TRACK, "A", program)
    assert judged.score is not None, judged.record
    assert AGREEMENT not in judged.score.parts
    assert not jobs


def test_a_model_is_probed_once_whoever_hands_it_over(arena: Any, models: dict[str, Path], jobs: list[str]) -> None:
    white_box(arena)
    own = defence(models["reid-fgsm"], models["reid-fgsm"])
    first = arena.judge(TRACK, "A", own)
    again = arena.judge(TRACK, "B", own + "\n")
    assert jobs.count("check") == 2
    assert jobs.count("attacked") <= 3, "none, if another test has probed this model before"
    assert first.record["model"] == again.record["model"]
    assert first.score == again.score


def test_F13_killed_between_two_probes_only_the_missing_ones_are_computed(
    arena: Any, models: dict[str, Path], jobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    white_box(arena, epsilon=7)
    version = resolve_version(arena.bench, arena.season.stage(STAGE))
    hidden = open_hidden(arena.bench, version)
    model = model_of(models["reid-fgsm"], hidden.described, DefenceLimits.model_validate(version.limits))
    whole, run = model_process._run, []

    def die_at_the_second(*words: Any) -> int:
        run.append(words)
        if len(run) == 2:
            raise KeyboardInterrupt
        return whole(*words)

    with monkeypatch.context() as patch:
        patch.setattr(model_process, "_run", die_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            white_box_pictures(arena.bench, version, hidden, model)
    assert len(jobs) == 1
    found = white_box_pictures(arena.bench, version, hidden, model)
    assert len(jobs) == 3
    white_box_pictures(arena.bench, version, hidden, model)
    assert len(jobs) == 3
    assert set(found) == set(WHITE_BOX)


def test_T38_white_box_pictures_lie_among_the_others(arena: Any, models: dict[str, Path]) -> None:
    white_box(arena)
    program = defence(models["reid-fgsm"], models["reid-fgsm"])
    judged = arena.judge(TRACK, "A", program.replace("else:", f"else:\n    assert len(names) == {7 * IMAGES}"))
    assert judged.score is not None, judged.record["log"]


def test_pictures_that_are_not_within_epsilon_are_no_participants_fault(
    arena: Any, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a taken-over process gives back is not believed."""
    described = open_hidden(arena.bench, resolve_version(arena.bench, arena.season.stage(STAGE))).described
    model = model_of(models["reid-fgsm"], described, DefenceLimits())

    def lie(job: str, place: str, threads: int, seconds: float) -> int:
        Path(place, model_process.RESULT).write_bytes(bytes(2 * 112 * 112 * 3))
        return 0

    monkeypatch.setattr(model_process, "_run", lie)
    pictures = np.full((2, 112, 112, 3), 200, np.uint8)
    goals = model_process.Goals(np.zeros(2, np.int64), np.zeros((2, 1), np.int64))
    with pytest.raises(PlatformError) as caught:
        model.attacked(pictures, goals, model_process.ProbeSettings("fgsm", 1, 8, random_start=False), 1)
    assert caught.value.code == "MODEL_PROBE"


def test_a_model_is_checked_offline(arena: Any, models: dict[str, Path], tmp_path: Path) -> None:
    evaluation, faces = evaluation_of("safair-defence"), arena.faces["reid"]
    words = ("initial", {"probes": "white-box"}, faces, tmp_path, lambda done, total: None)
    good = evaluation.check(models["reid-fgsm"], *words)
    pictures = read_pictures(faces, "val", sorted(path.name for path in (faces / "val").iterdir()))
    assert not good.findings.refused
    assert good.counts == {"pictures": len(pictures), "with a gradient": len(pictures)}
    bad = tmp_path / "floor.onnx"
    bad.write_bytes(floor_model())
    assert evaluation.check(bad, *words).findings.counts == {"MODEL_OPERATOR": 1}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    """Leave the machine's other core to others."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
