"""Importing: the three formats decide alike, and a model that is not what it was declared to be is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aisc.errors import UsageError
from aisc.victims.calibration import LabelledFaces, calibrate, score_pairs
from aisc.victims.importing import Declaration, import_victim
from aisc.victims.package import InputDescription
from aisc.victims.torch_models import export_torchscript
from aisc.victims.verifier import make_verifier, open_verifier, similarity

DECLARED = Declaration("mine", false_accept_rate=0.01)


def test_torchscript_and_onnx_decide_as_the_network_they_were_made_from(
    tiny: Any, faces: LabelledFaces, tmp_path: Path
) -> None:
    script = make_verifier(import_victim(tiny.script, DECLARED, faces, tmp_path / "script"))
    graph = make_verifier(import_victim(tiny.onnx, DECLARED, faces, tmp_path / "onnx"))
    builtin = open_verifier(tiny.builtin.folder)
    threshold = calibrate(builtin, faces, false_accept_rate=0.01).threshold
    for verifier in (script, graph):
        assert verifier.description.threshold == pytest.approx(threshold, abs=1e-5)
        assert verifier.description.dim == 16
        assert verifier.description.calibration.impostor_pairs == 2484
        first, second = (verifier.embed(part) for part in (faces.images[:36], faces.images[36:]))
        expected = similarity(builtin.embed(faces.images[:36]), builtin.embed(faces.images[36:]))
        np.testing.assert_allclose(similarity(first, second), expected, atol=1e-5)
        sure = np.abs(expected - threshold) > 1e-4  # rounding may decide the others
        assert sure.sum() > 30
        decided = similarity(first, second) >= verifier.description.threshold
        np.testing.assert_array_equal(decided[sure], (expected >= threshold)[sure])


def test_declared_preprocessing_makes_a_bgr_nhwc_model_answer_alike(
    tiny: Any, faces: LabelledFaces, tmp_path: Path
) -> None:
    class Turned(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return self.inner((x.permute(0, 3, 1, 2).flip(1) * 128.0 + 127.5).contiguous()) * 3.0

    path = tmp_path / "turned.pt"
    torch.jit.script(Turned(tiny.network)).save(str(path))  # type: ignore[no-untyped-call]
    declared = InputDescription(colours="bgr", layout="nhwc", mean=(127.5,) * 3, scale=(1 / 128,) * 3)
    package = import_victim(path, DECLARED._replace(input=declared), faces, tmp_path / "victim")
    np.testing.assert_allclose(
        make_verifier(package).embed(faces.images[:6]),
        open_verifier(tiny.builtin.folder).embed(faces.images[:6]),
        atol=1e-4,
    )


def test_exported_surrogate_has_gradients_and_equals_the_network(tiny: Any, tmp_path: Path) -> None:
    export_torchscript(tiny.builtin.folder, tmp_path / "sub" / "surrogate.pt")
    module = torch.jit.load(str(tmp_path / "sub" / "surrogate.pt"))  # type: ignore[no-untyped-call]
    images = (torch.rand(2, 3, 112, 112) * 255).requires_grad_()
    answer = module(images)
    torch.testing.assert_close(answer, tiny.network(images))
    answer[:, 0].sum().backward()
    assert images.grad is not None
    assert float(images.grad.abs().sum()) > 0


def test_record_says_how_the_threshold_came_about(tiny: Any, faces: LabelledFaces, tmp_path: Path) -> None:
    record = import_victim(tiny.script, DECLARED, faces, tmp_path).description.calibration
    verifier = open_verifier(tmp_path)
    scores = score_pairs(verifier.embed(faces.images), faces.people)
    threshold = verifier.description.threshold
    assert record.rule == "false-accept-rate"
    assert record.false_accept_rate == pytest.approx(np.mean(scores.impostor >= threshold))
    assert record.true_accept_rate == pytest.approx(np.mean(scores.genuine >= threshold))
    assert record.data_sha256 == faces.sha256
    other = import_victim(tiny.script, DECLARED._replace(rule="best-accuracy"), faces, tmp_path / "b").description
    assert other.calibration.target_false_accept_rate is None


def test_pair_scores_equal_a_double_loop(faces: LabelledFaces) -> None:
    rng = np.random.default_rng(0)
    rows: NDArray[np.float32] = rng.normal(size=(9, 4)).astype(np.float32)
    people = np.array([0, 0, 0, 1, 1, 2, 3, 3, 0])
    scores = score_pairs(rows, people)
    same = [float(rows[i] @ rows[j]) for i in range(9) for j in range(i + 1, 9) if people[i] == people[j]]
    other = [float(rows[i] @ rows[j]) for i in range(9) for j in range(i + 1, 9) if people[i] != people[j]]
    np.testing.assert_allclose(np.sort(scores.genuine), np.sort(same), atol=1e-6)
    np.testing.assert_allclose(np.sort(scores.impostor), np.sort(other), atol=1e-6)


class Bad(nn.Module):
    """A model with one thing wrong."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)[:, :16]
        if self.fault == "nan":
            return flat / 0.0 * 0.0
        if self.fault == "zero":
            return flat * 0.0
        if self.fault == "constant":
            return flat * 0.0 + 1.0
        if self.fault == "shape":
            return x
        if self.fault == "random":
            return torch.rand(x.size(0), 16)
        if self.fault == "batch":
            return flat - flat.mean(0, keepdim=True) + flat.std()
        return flat.double()


@pytest.mark.parametrize("fault", ["nan", "zero", "constant", "shape", "random", "batch"])
def test_model_that_fails_the_canary_is_refused(fault: str, faces: LabelledFaces, tmp_path: Path) -> None:
    path = tmp_path / "bad.pt"
    torch.jit.script(Bad(fault)).save(str(path))  # type: ignore[no-untyped-call]
    with pytest.raises(UsageError) as caught:
        import_victim(path, DECLARED, faces, tmp_path / "victim")
    assert caught.value.code == "VICTIM_CANARY_FAILED"
    assert str(path) in caught.value.message
    assert not (tmp_path / "victim").exists()


def test_model_that_wants_another_size_is_refused(faces: LabelledFaces, tmp_path: Path) -> None:
    helper = onnx.helper
    images = helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["n", 3, 160, 160])
    answer = helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, ["n", 3 * 160 * 160])
    graph = helper.make_graph([helper.make_node("Flatten", ["images"], ["out"])], "g", [images], [answer])
    path = tmp_path / "large.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UsageError) as caught:
        import_victim(path, DECLARED, faces, tmp_path / "victim")
    assert caught.value.code == "VICTIM_CANARY_FAILED"


@pytest.mark.parametrize(("name", "code"), [("model.h5", "VICTIM_FORMAT_UNKNOWN"), ("none.pt", "VICTIM_FILE_MISSING")])
def test_file_that_cannot_be_a_model_is_refused(name: str, code: str, faces: LabelledFaces, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        import_victim(tmp_path / name, DECLARED, faces, tmp_path / "victim")
    assert caught.value.code == code


def test_name_that_no_season_file_could_hold_is_refused(tiny: Any, faces: LabelledFaces, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        import_victim(tiny.script, DECLARED._replace(name="My Victim"), faces, tmp_path / "victim")
    assert caught.value.code == "VICTIM_DECLARATION_INVALID"


def test_rate_finer_than_the_pairs_is_refused(tiny: Any, faces: LabelledFaces, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        import_victim(tiny.script, DECLARED._replace(false_accept_rate=1e-5), faces, tmp_path / "victim")
    assert caught.value.code == "THRESHOLD_PAIRS_TOO_FEW"
