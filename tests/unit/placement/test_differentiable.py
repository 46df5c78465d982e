import cv2
import numpy as np
import torch

from aisc.placement.compose import place
from aisc.placement.differentiable import place_tensor
from aisc.placement.light import FacePose
from aisc.placement.pyramid import Pyramid


def pose():
    rng = np.random.default_rng(7)
    corners = np.array([[10.2, 8.7], [50.9, 11.1], [49.3, 30.4], [11.8, 28.2]])
    gain = rng.uniform(0.5, 1, (4, 6, 3)).astype(np.float32)
    cut = rng.integers(0, 256, (12, 30), dtype=np.uint8)
    return FacePose(corners, gain, np.array([5, 9, 12], np.float32), (14, 12, 44, 24), cut)


def test_torch_and_numpy_place_alike():
    rng = np.random.default_rng(8)
    rgb = cv2.resize(rng.integers(0, 256, (16, 36, 3), dtype=np.uint8), (700, 316), interpolation=cv2.INTER_LINEAR)
    frame = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    expected = frame.copy()
    place(expected, Pyramid(rgb, np.ones((316, 700), bool)), pose())
    colours = torch.from_numpy(rgb).permute(2, 0, 1).float()
    found = place_tensor(
        torch.from_numpy(frame).permute(2, 0, 1).float(), colours, torch.ones(1, 316, 700), pose(), samples=10
    )
    off = np.abs(found.permute(1, 2, 0).numpy() - expected)
    assert off[expected != frame].mean() <= 1
    assert off.max() <= 5


def test_gradients_are_finite_and_reach_the_canvas():
    colours = torch.full((3, 16, 36), 120.0, requires_grad=True)
    mask = torch.ones(1, 16, 36, requires_grad=True)
    place_tensor(torch.zeros(3, 40, 60), colours, mask, pose()).sum().backward()
    assert torch.isfinite(colours.grad).all()
    assert torch.isfinite(mask.grad).all()
    assert colours.grad.sum() > 100
    assert (colours.grad >= 0).all()


def test_a_face_out_of_view_leaves_the_frame():
    frame = torch.rand(3, 40, 60)
    away = pose()._replace(corners=pose().corners + 1000)
    assert place_tensor(frame, torch.zeros(3, 4, 4), torch.ones(1, 4, 4), away) is frame
