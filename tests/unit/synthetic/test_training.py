"""What the three training loops share: their pace, their checkpoints, their statistics."""

import numpy as np
import pytest
import torch
from torch import nn

from aisc.errors import UsageError
from aisc.synthetic.driving.album import AlbumSpec, render_album
from aisc.synthetic.driving.training import Schedule, fit
from aisc.synthetic.training import measure_statistics, pace, resume, save

PICTURES = np.random.default_rng(0).integers(0, 256, (10, 8, 6, 3), dtype=np.uint8)


class StoppedError(Exception):
    pass


def norm_network() -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())


def test_the_pace_rises_in_a_line_and_falls_along_a_cosine() -> None:
    assert pace(0.0, 0.2, 0.01) == pytest.approx(0.05)
    assert pace(0.1, 0.2, 0.01) == pytest.approx(0.525)
    assert pace(0.2, 0.2, 0.01) == pytest.approx(1.01)
    assert pace(0.6, 0.2, 0.01) == pytest.approx(0.51)
    assert pace(1.0, 0.2, 0.01) == pytest.approx(0.01)


def test_statistics_are_those_of_all_pictures_whatever_was_there_before() -> None:
    network = norm_network()
    network(torch.rand(4, 3, 8, 6) * 9)
    measure_statistics(network, PICTURES, 1, most=100, batch=5)
    norm = network[0]
    halves = PICTURES.reshape(2, -1, 3).astype(np.float64)
    assert norm.running_mean.numpy() == pytest.approx(halves.mean((0, 1)), rel=1e-5)
    # A batch norm keeps the mean of its batches' unbiased variances.
    assert norm.running_var.numpy() == pytest.approx(halves.var(1, ddof=1).mean(0), rel=1e-5)


def test_statistics_of_some_pictures_depend_on_the_seed_alone() -> None:
    means = []
    for seed in (1, 1, 2):
        network = norm_network()
        measure_statistics(network, PICTURES, seed, most=4, batch=4)
        means.append(network[0].running_mean.tolist())
    assert means[0] == means[1] != means[2]


def test_a_checkpoint_brings_back_weights_momentum_and_the_epoch(tmp_path) -> None:
    def step(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        network(torch.ones(2, 3)).square().sum().backward()
        optimizer.step()

    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(network.parameters(), 0.01, 0.9)
    assert resume(tmp_path / "checkpoint", network, optimizer) == 0
    step(network, optimizer)
    save(tmp_path / "checkpoint", network, optimizer, 7)
    step(network, optimizer)
    other = nn.Linear(3, 2)
    again = torch.optim.SGD(other.parameters(), 0.01, 0.9)
    assert resume(tmp_path / "checkpoint", other, again) == 7
    step(other, again)
    assert torch.equal(other.weight, network.weight)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("content", [b"", b"no checkpoint"])
def test_what_is_no_checkpoint_is_named(content, tmp_path) -> None:
    network = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    (tmp_path / "checkpoint").write_bytes(content)
    with pytest.raises(UsageError, match="CHECKPOINT_UNUSABLE"):
        resume(tmp_path / "checkpoint", network, optimizer)


def test_a_checkpoint_of_another_network_is_named(tmp_path) -> None:
    network, other = nn.Linear(3, 2), nn.Linear(4, 2)
    save(tmp_path / "checkpoint", network, torch.optim.SGD(network.parameters(), 0.01), 1)
    with pytest.raises(UsageError, match="CHECKPOINT_UNUSABLE"):
        resume(tmp_path / "checkpoint", other, torch.optim.SGD(other.parameters(), 0.01))


def test_a_detector_resumed_has_the_weights_of_one_never_stopped(tmp_path) -> None:
    album = render_album(AlbumSpec(3, "tiny", worlds=1, moments=2), tmp_path)
    schedule = Schedule(epochs=2, batch=4, learning_rate=2e-3, seed=1, threads=1)

    def stop(_: object) -> None:
        raise StoppedError

    once = fit("peaks", schedule, album, tmp_path / "a").state_dict()
    with pytest.raises(StoppedError):
        fit("peaks", schedule, album, tmp_path / "b", stop)
    torch.rand(7)  # the frames' noise comes from torch's generator, which another process would find elsewhere
    again = fit("peaks", schedule, album, tmp_path / "b").state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in once.items())
