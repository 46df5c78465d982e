import numpy as np
import pytest
import torch

from aisc.errors import UsageError
from aisc.synthetic.driving.album import Album, AlbumSpec, render_album
from aisc.synthetic.driving.losses import Truth, detection_loss, overlap_loss
from aisc.synthetic.driving.measuring import best_shift, measure_album
from aisc.synthetic.driving.recipe import RECIPES, pack, train
from aisc.synthetic.driving.training import Schedule, fit, frame_truths
from aisc.victims.detector_networks import build_detector
from aisc.victims.detector_package import load_detector_package
from aisc.victims.detectors import Detections, open_detector

DESIGNS = ("anchors", "distances", "peaks")


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    return render_album(AlbumSpec(3, "tiny", worlds=2, moments=2), tmp_path_factory.mktemp("album"))


def test_an_album_is_the_same_every_time_and_is_kept(album, tmp_path):
    spec = AlbumSpec(3, "tiny", worlds=2, moments=2)
    again = render_album(spec, tmp_path)
    assert (again.frames == album.frames).all()
    assert (again.objects == album.objects).all()
    marked = np.load(tmp_path / "tiny-3-2x2.npy", mmap_mode="r+")
    marked[0] = 7
    marked.flush()
    assert (render_album(spec, tmp_path).frames[0] == 7).all()
    assert not (render_album(spec._replace(use="other"), tmp_path / "other").frames == album.frames).all()


def test_truths_lie_in_the_frame_and_small_ones_do_not_count(album):
    for truth in frame_truths(album):
        assert (truth.boxes[:, :2] < truth.boxes[:, 2:]).all()
        assert (truth.boxes >= 0).all()
        assert (truth.boxes[:, 2] <= 416).all()
        assert ((truth.boxes[:, 3] - truth.boxes[:, 1])[truth.counts] >= 10).all()


@pytest.mark.parametrize("design", DESIGNS)
def test_a_detector_learns_and_resumes(design, album, tmp_path):
    losses = []
    schedule = Schedule(epochs=6, batch=4, learning_rate=2e-3, seed=1, threads=1)
    fit(design, schedule._replace(epochs=3), album, tmp_path / "a", lambda one: losses.append((one.epoch, one.loss)))
    fit(design, schedule, album, tmp_path / "a", lambda one: losses.append((one.epoch, one.loss)))
    assert [epoch for epoch, _ in losses] == [1, 2, 3, 4, 5, 6]
    assert losses[-1][1] < losses[0][1]


@pytest.mark.parametrize("design", DESIGNS)
def test_losses_are_finite_without_objects(design):
    nothing = Truth(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.bool))
    network = build_detector(design)
    loss = detection_loss(design, network(torch.rand(2, 3, 64, 96) * 255), [nothing, nothing])
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_overlap_loss_is_zero_on_equal_boxes_and_grows_with_distance():
    box = torch.tensor([[10.0, 10, 20, 30]])
    values = [float(overlap_loss(box, box + torch.tensor([d, 0.0, d, 0.0]))) for d in (0.0, 2.0, 8.0, 40.0)]
    assert values[0] == pytest.approx(0, abs=1e-6)
    assert values == sorted(values)
    assert 1 < values[-1] < 2


class _Knows:
    """Answers with the truth, moved by so many pixels."""

    def __init__(self, album: Album, move: float = 0.0) -> None:
        self.truths, self.move, self.at = frame_truths(album), move, 0

    def detect(self, frames):
        found = []
        for truth in self.truths[self.at : self.at + len(frames)]:
            boxes = truth.boxes[truth.counts].numpy() + np.float32(self.move)
            found.append(Detections(boxes, truth.labels[truth.counts].numpy(), np.full(len(boxes), 0.9, np.float32)))
        self.at += len(frames)
        return found


def test_measuring_knows_right_from_wrong(album):
    perfect = measure_album(_Knows(album), album)
    assert (perfect.recall, perfect.precision, perfect.false_alarms) == (1, 1, 0)
    far = measure_album(_Knows(album, 1000.0), album)
    assert (far.recall, far.precision) == (0, 0)


def test_a_package_is_calibrated_measured_and_small(album, tmp_path):
    torch.manual_seed(2)
    network = build_detector("peaks").eval()
    recipe = RECIPES["road-peaks"]
    package, figures = pack("road-peaks", recipe, network, album, tmp_path / "road-peaks")
    assert len(package.weights) <= 2.5e6
    assert package.description.measured.recall_album == figures.recall
    assert load_detector_package(tmp_path / "road-peaks").digest == package.digest
    assert len(open_detector(tmp_path / "road-peaks").detect(np.asarray(album.frames[:1]))) == 1
    assert np.isfinite(best_shift(package.description, network, Album(album.frames[:1], album.objects[:0])))


def test_an_unknown_recipe_is_named(tmp_path):
    with pytest.raises(UsageError) as caught:
        train("nobody", tmp_path)
    assert caught.value.code == "RECIPE_UNKNOWN"
