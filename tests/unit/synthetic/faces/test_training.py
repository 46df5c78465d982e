"""Training: losses against plain arithmetic, and the loop's promise to give the same weights again."""

from pathlib import Path

import numpy as np
import pytest
import torch

from aisc.synthetic.faces.losses import PeopleLoss
from aisc.synthetic.faces.training import EpochReport, Schedule, fit
from aisc.victims.networks import Architecture, EmbeddingNetwork

TINY = Architecture("residual", (4, 4, 4, 4), (1, 1, 1), 8)
SCHEDULE = Schedule(small_epochs=2, full_epochs=1, batch=8, learning_rate=0.05, seed=1, threads=1)
ALBUM = np.random.default_rng(0).integers(0, 256, (4, 8, 112, 112, 3), dtype=np.uint8)


def weights(network: EmbeddingNetwork) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def assert_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_training_twice_gives_the_same_weights_and_resuming_gives_them_too(tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop_after_two(report: EpochReport) -> None:
        if report.epoch == 2:
            raise StoppedError

    once = weights(fit(TINY, "arcface", SCHEDULE, ALBUM, tmp_path / "a"))
    assert_same(once, weights(fit(TINY, "arcface", SCHEDULE, ALBUM, tmp_path / "b")))
    with pytest.raises(StoppedError):
        fit(TINY, "arcface", SCHEDULE, ALBUM, tmp_path / "c", stop_after_two)
    assert_same(once, weights(fit(TINY, "arcface", SCHEDULE, ALBUM, tmp_path / "c")))


def test_loss_falls_and_epochs_are_reported(tmp_path: Path) -> None:
    told: list[EpochReport] = []
    album = np.repeat(np.array([20, 90, 160, 230], np.uint8), 8 * 112 * 112 * 3).reshape(ALBUM.shape)
    schedule = SCHEDULE._replace(small_epochs=8)
    fit(TINY, "softmax", schedule, album, tmp_path / "a", told.append)
    assert [report.size for report in told] == [64] * 8 + [112]
    assert told[-1].loss < told[0].loss


@pytest.mark.parametrize(("name", "margin"), [("arcface", 0.30), ("cosface", 0.22), ("softmax", 0.0)])
def test_margin_losses_equal_plain_arithmetic(name: str, margin: float) -> None:
    torch.manual_seed(0)
    loss = PeopleLoss(name, 5, 6)  # type: ignore[arg-type]
    x = torch.nn.functional.normalize(torch.randn(7, 6), dim=1)
    labels = torch.tensor([0, 1, 2, 3, 4, 0, 1])
    directions = loss.directions.detach().numpy().astype(float)
    cosine = x.numpy().astype(float) @ (directions / np.linalg.norm(directions, axis=1, keepdims=True)).T
    expected = 0.0
    for row, label in zip(cosine, labels.tolist(), strict=True):
        logits = row.copy()
        logits[label] = np.cos(np.arccos(row[label]) + margin) if name == "arcface" else row[label] - margin
        log_share = 28 * logits - np.log(np.exp(28 * logits).sum())
        expected -= (0.98 * log_share[label] + 0.02 * log_share.mean()) / len(cosine)
    assert float(loss(x, labels, 1.0).detach()) == pytest.approx(expected, rel=1e-4)


def test_triplet_loss_adds_the_hardest_triplets() -> None:
    torch.manual_seed(0)
    loss, plain = PeopleLoss("triplet", 3, 6), PeopleLoss("softmax", 3, 6)
    plain.load_state_dict(loss.state_dict())
    x = torch.nn.functional.normalize(torch.randn(9, 6), dim=1)
    labels = torch.arange(9) // 3
    similar = (x @ x.T).numpy()
    total = 0.0
    for k in range(9):
        own = [similar[k, j] for j in range(9) if labels[j] == labels[k]]
        others = [similar[k, j] for j in range(9) if labels[j] != labels[k]]
        total += max(0.0, 0.30 + max(others) - min(own)) / 9
    assert float((loss(x, labels, 1.0) - plain(x, labels, 1.0)).detach()) == pytest.approx(2 * total, rel=1e-4)
