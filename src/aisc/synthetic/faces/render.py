"""Faces as an aligner would leave them: identities and shots in, 112 x 112 RGB pictures out.

Pure NumPy, deterministic, in small batches that stay in the processor's cache.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.synthetic.faces import paint
from aisc.synthetic.faces.fields import Columns, Field, noise, over, step
from aisc.synthetic.faces.parameters import Identity, Shot, wears_glasses, wears_hat, wears_lipstick
from aisc.synthetic.faces.surface import PIXELS_A_UNIT, SIDE, Surface, cast

_BATCH = 8
_SOFT = 0.7 / PIXELS_A_UNIT


def render(identities: Sequence[Identity], shots: Sequence[Shot]) -> NDArray[np.uint8]:
    """Render one picture for each identity and shot, as uint8 RGB `(n, 112, 112, 3)`."""
    pictures = np.empty((len(identities), SIDE, SIDE, 3), dtype=np.uint8)
    for start in range(0, len(identities), _BATCH):
        chosen = slice(start, start + _BATCH)
        pictures[chosen] = _render_batch(list(identities[chosen]), list(shots[chosen]))
    return pictures


def _render_batch(identities: list[Identity], shots: list[Shot]) -> NDArray[np.uint8]:
    who, shot = Columns(identities), Columns(shots)
    seed = np.array([identity.texture for identity in identities], dtype=np.int64)
    worn = paint.Worn(
        _flags([wears_glasses(i, s) for i, s in zip(identities, shots, strict=True)]),
        _flags([wears_hat(s) for s in shots]),
        _flags([wears_lipstick(i, s) for i, s in zip(identities, shots, strict=True)]),
    )
    face = cast(who, shot)
    light = _Light(shot, face)
    canvas = _backdrop(shot, face)
    hair = paint.hair_tint(who, seed, face)
    _paint_behind(canvas, hair, who, shot, light, face)
    head = paint.paint_skin(who, seed, face)
    paint.paint_nose(head, who, face)
    paint.paint_mouth(head, who, shot, worn, face)
    paint.paint_beard(head, who, seed, face)
    paint.paint_eyes(head, who, shot, face)
    paint.paint_brows(head, who, shot, face)
    over(head, hair, paint.front_hair(who, shot, seed, face))
    head = light.on(head)
    paint.paint_glasses(head, shot, who, worn, face)
    over(canvas, head, face.cover)
    _paint_hat(canvas, who, shot, worn, light, face)
    return _develop(canvas, shots)


class _Light:
    """One lamp, the sky around it, and the shine of skin."""

    def __init__(self, shot: Columns, face: Surface) -> None:
        """Work out how much light falls on each pixel."""
        x, y = shot.light_x, shot.light_y
        z = np.float32(0.9)
        length = np.sqrt(x * x + y * y + z * z)
        nx, ny, nz = face.normal
        facing = (nx * x + ny * y + nz * z) / length
        lamp = np.maximum(facing * 0.85 + 0.15, 0) * shot.light
        rim = 0.72 + 0.28 * np.clip(nz * 1.6, 0, 1)
        self.warm = np.concatenate([1 + shot.warmth, np.ones_like(shot.warmth), 1 - shot.warmth], axis=1)[..., None]
        self.amount = ((shot.ambient * (0.9 + 0.15 * ny) + lamp) * rim)[:, None] * self.warm
        half = np.maximum((nx * x + ny * y + nz * (z + length)) / np.sqrt(x * x + y * y + (z + length) ** 2), 0)
        self.gloss = (shot.shine * half**24)[:, None]
        self.flat = (shot.ambient + 0.55 * shot.light)[:, None] * self.warm

    def on(self, head: Field) -> Field:
        """Light the head's own colours."""
        return np.asarray(head * self.amount + self.gloss)


def _flags(values: list[bool]) -> Field:
    return np.array(values, dtype=np.float32).reshape(-1, 1, 1)


def _backdrop(shot: Columns, face: Surface) -> Field:
    """Give a wall that gets lighter to one side, with soft stains."""
    seed = shot.seed.astype(np.int64).reshape(-1)
    stains = noise(face.screen_x * 11 + 90, face.screen_y * 11 + 90, seed)
    shade = 1 + shot.backdrop_tilt * (face.screen_x + 0.5 * face.screen_y) + 0.07 * stains
    return np.asarray(shot.backdrop * shade[:, None], dtype=np.float32)


def _paint_behind(canvas: Field, hair: Field, who: Columns, shot: Columns, light: _Light, face: Surface) -> None:
    """Paint what lies behind the face: hair, neck, clothes, ears."""
    x, y = face.screen_x, face.screen_y
    turn = 0.25 * np.sin(shot.yaw)
    volume = 1 + who.hair_volume
    curls = 1 + 0.035 * who.hair_curl * np.sin(9 * np.arctan2(x, y + 0.2) + who.hair_part * 9)
    shell = np.hypot(
        (x + turn) / (who.head_width * 1.03 * volume * curls), (y - 0.06) / (who.head_height * (0.35 + 0.65 * volume))
    )
    flowing = np.abs(x + turn) / (who.head_width * 1.03 * volume * curls)
    outline = np.where(y > 0, shell, np.maximum(flowing, 0.6 * shell))
    mass = step(1 - outline, 0.03) * step(y + who.hair_length, 0.06) * (1 - who.bald)
    over(canvas, hair * 0.75 * light.flat, mass)
    neck = step(0.64 * who.head_width + 0.25 * who.jaw - np.abs(x + 0.5 * turn), _SOFT) * step(-y - 0.5, 0.1)
    over(canvas, who.skin * 0.62 * light.flat, neck)
    shoulder = -1.52 - 0.22 * np.square(np.maximum(np.abs(x) - 0.35, 0)) + 0.12 * np.minimum(np.abs(x), 0.5)
    over(canvas, shot.clothes * light.flat, step(shoulder - y, _SOFT))
    for side in (-1.0, 1.0):
        centre = side * who.head_width * (1.0 + who.cheek) * np.cos(shot.yaw) - turn * 0.4
        ear = np.hypot((x - centre) / (who.ear * 0.62), (y - 0.02 + 0.15 * np.sin(shot.pitch)) / (who.ear * 1.35))
        hidden = step(who.hair_length - 0.4, 0.2) * (1 - who.bald)
        tone = who.skin * (0.72 + 0.22 * step(ear - 0.55, 0.12))[:, None]
        over(canvas, tone * light.flat, step(1 - ear, 0.06) * (1 - hidden))


def _paint_hat(canvas: Field, who: Columns, shot: Columns, worn: paint.Worn, light: _Light, face: Surface) -> None:
    """Paint a knitted cap over the skull, with its brim."""
    x, y = face.screen_x, face.screen_y
    brim = who.eye_height + who.brow_height + 0.27 - 0.05 * np.square(x) - 0.35 * shot.pitch
    skull = np.hypot(x / (who.head_width * 1.10), (y - 0.1) / (who.head_height * 1.08))
    cap = worn.hat * step(1 - skull, 0.025) * step(y - brim, _SOFT)
    ribs = 0.9 + 0.1 * np.sin(x * 45)
    band = 1 - 0.25 * step(brim + 0.18 - y, 0.02)
    shade = ribs * band * (0.75 + 0.35 * np.clip(1 - skull, 0, 1))
    over(canvas, shot.hat * shade[:, None] * (0.3 * light.flat + 0.7 * light.amount), cap)


def _develop(canvas: Field, shots: list[Shot]) -> NDArray[np.uint8]:
    """Turn light into pixels: exposure, contrast, the lens's blur, the sensor's grain."""
    pictures = np.ascontiguousarray(np.moveaxis(canvas, 1, 3), dtype=np.float32)
    for picture, shot in zip(pictures, shots, strict=True):
        if shot.blur > 0.2:
            picture[:] = cv2.GaussianBlur(picture, (5, 5), shot.blur)
        grain = np.random.default_rng(shot.seed).standard_normal(picture.shape, dtype=np.float32)
        picture[:] = (picture * shot.exposure - 0.45) * shot.contrast + 0.45 + shot.grain * grain
    return np.clip(np.rint(pictures * 255), 0, 255).astype(np.uint8)
