"""Draw a world as the camera sees it, and say exactly what is where."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.placement.compose import place
from aisc.placement.geometry import corner_turns, pixel_box
from aisc.placement.light import FacePose
from aisc.placement.pyramid import Pyramid
from aisc.synthetic.driving.air import lit_pose, wiper
from aisc.synthetic.driving.camera import FRAME, NEAREST, Camera
from aisc.synthetic.driving.things import Label, Thing
from aisc.synthetic.driving.world import World

F64 = NDArray[np.float64]

_SAMPLES: Final = 3
_FARTHEST: Final = 95.0
_SMALLEST_TURN: Final = 0.5
_FACE_GRID: Final = (6, 12)
_PANEL_GRID: Final = (4, 6)


class Seen(NamedTuple):
    """Something of a class that is in view.

    Attributes:
        label: Its class.
        box: left, top, right, bottom in pixels, around all of it that lies in the frame.
        visible: Share of its pixels in the frame that nothing hides.
    """

    label: Label
    box: tuple[float, float, float, float]
    visible: float


class Frame(NamedTuple):
    """A frame and the truth about it.

    Attributes:
        pixels: ``(h, w, 3)`` uint8 RGB.
        seen: What is in view.
        pose: The target face, where the world has one and it is in front of the camera.
    """

    pixels: NDArray[np.uint8]
    seen: tuple[Seen, ...]
    pose: FacePose | None


class _Painting:
    """One frame in the making."""

    def __init__(self, world: World, seconds: float) -> None:
        self.world, self.seconds = world, seconds
        self.camera: Camera = world.drive.camera(seconds)
        self.pixels = np.zeros((*FRAME, 3), np.uint8)
        self.owner = np.full(FRAME, -1, np.int16)
        self.drawn: dict[int, NDArray[np.bool_]] = {}
        self.pose: FacePose | None = None
        self.hidden = np.zeros(FRAME, np.float32)

    def draw(self, number: int, thing: Thing, canvas: Pyramid | None) -> None:
        self._draw_shadow(thing)
        for index, panel in enumerate((*thing.panels, None)):
            if thing.face is not None and index == thing.face_after:
                self._draw_face(thing.points(thing.face, self.seconds), canvas)
            if panel is not None:
                self._draw_panel(number, thing, thing.points(panel.quad, self.seconds), panel.sprite, panel.shade)

    def _draw_panel(self, number: int, thing: Thing, quad: F64, sprite: Pyramid, shade: float) -> None:
        corners = self._corners(quad)
        if corners is None:
            return
        grid = _PANEL_GRID if corners[:, 1].max() - corners[:, 1].min() > 30 else (1, 1)
        pose = lit_pose(corners, quad, self.world.shade, self.world.weather, self.camera, shade, grid)
        coverage = place(self.pixels, sprite, pose, _SAMPLES)
        if not coverage.size:
            return
        left, top, right, bottom = pixel_box(corners, FRAME)
        region = slice(top, bottom), slice(left, right)
        solid = coverage > 0.5
        self.owner[region][solid] = number
        if thing.label is not None:
            self.drawn.setdefault(number, np.zeros(FRAME, bool))[region] |= solid
        if self.pose is not None:
            self.hidden[region] = 1 - (1 - self.hidden[region]) * (1 - coverage)

    def _draw_face(self, quad: F64, canvas: Pyramid | None) -> None:
        corners = self._corners(quad)
        if corners is None:
            return
        self.pose = lit_pose(corners, quad, self.world.shade, self.world.weather, self.camera, 1.0, _FACE_GRID)
        if canvas is not None:
            place(self.pixels, canvas, self.pose)

    def _draw_shadow(self, thing: Thing) -> None:
        width, length = thing.shadow
        if not width:
            return
        half = width / 2 + 0.12
        flat = np.array([[-half, 0, length], [half, 0, length], [half, 0, -0.3], [-half, 0, -0.3]])
        corners = self._corners(thing.points(flat, self.seconds))
        if corners is None:
            return
        place(self.pixels, _SHADOW, FacePose(corners, _BLACK, _NO_HAZE, (0, 0, 0, 0), np.zeros((0, 0), np.uint8)), 2)

    def _corners(self, quad: F64) -> F64 | None:
        """Project a panel; ``None`` when it is too near, too far, seen from behind, at an edge, or out of view."""
        depth = quad[:, 2] - self.camera.z
        if depth.min() < NEAREST or depth.min() > _FARTHEST:
            return None
        corners = self.camera.project(quad)
        left, top, right, bottom = pixel_box(corners, FRAME)
        if left >= right or top >= bottom or corner_turns(corners).min() < _SMALLEST_TURN:
            return None
        return corners

    def veil(self) -> None:
        world = self.world
        veils = [world.fall[int(self.seconds * 24) % len(world.fall)]] if world.fall else []
        if world.wipes:
            veils.append(wiper(self.seconds, world.weather.light[1]))
        for veil in veils:
            veil.draw(self.pixels)
            if self.pose is not None:
                veil.hide(self.hidden)

    def seen(self) -> tuple[Seen, ...]:
        found = []
        for number, mask in self.drawn.items():
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            label = self.world.things[number].label
            if not rows.size or label is None:
                continue
            box = float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
            visible = np.count_nonzero(mask & (self.owner == number)) / np.count_nonzero(mask)
            found.append(Seen(label, box, visible))
        return tuple(found)

    def finished_pose(self) -> FacePose | None:
        """Give the pose with what hides the face, cut out around it."""
        if self.pose is None:
            return None
        left, top, right, bottom = pixel_box(self.pose.corners, FRAME)
        cut = np.rint(self.hidden[top:bottom, left:right] * 255).astype(np.uint8)
        if not cut.any():
            return self.pose
        return self.pose._replace(occlusion_box=(left, top, right, bottom), occlusion=cut)


def render(world: World, seconds: float, canvas: Pyramid | None = None) -> Frame:
    """Draw the world at a time; a canvas, if given, is stuck on the target and lit and hidden as the scene asks."""
    painting = _Painting(world, seconds)
    world.backdrop.draw(painting.pixels, painting.camera)
    world.ground.draw(painting.pixels, painting.camera)
    order = sorted(range(len(world.things)), key=lambda k: -(world.things[k].z + world.things[k].speed * seconds))
    for number in order:
        painting.draw(number, world.things[number], canvas)
    painting.veil()
    return Frame(painting.pixels, painting.seen(), painting.finished_pose())


def _soft_shadow() -> Pyramid:
    """Make a dark patch that fades towards its borders."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    fade = np.clip((1 - np.maximum(np.abs(x), np.abs(y))) * 4, 0, 1) * 150
    sheet = np.zeros((64, 64, 4), np.uint8)
    sheet[..., 3] = fade
    return Pyramid.of_sprite(sheet)


_SHADOW: Final = _soft_shadow()
_BLACK: Final = np.zeros((1, 1, 3), np.float32)
_NO_HAZE: Final = np.zeros(3, np.float32)
