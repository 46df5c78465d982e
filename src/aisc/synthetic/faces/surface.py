"""The head's shape: where a pixel's ray meets the head, which way the surface looks there, and how the head lies.

The head is an ellipsoid whose width is warped along its height, with nose, brows, lips, cheeks and chin raised on it.
"""

from typing import Any, NamedTuple

import numpy as np

from aisc.synthetic.faces.fields import Box, Columns, Field, blob, bump, step

PIXELS_A_UNIT = 34.0
CENTRE_ROW = 55.5
SIDE = 112


class Surface(NamedTuple):
    """What is known of every pixel, each `(n, 112, 112)` float32."""

    screen_x: Field
    """Column in head units after roll, scale and shift, origin at the head's centre."""
    screen_y: Field
    u: Field
    """Where on the face the pixel lies: to the right."""
    v: Field
    """Where on the face the pixel lies: up."""
    depth: Field
    """Head coordinate towards the face's front."""
    cover: Field
    """1 inside the head's silhouette, 0 outside, soft at the edge."""
    edge: Field
    """0 at the middle of the head, 1 at its silhouette, more outside."""
    normal: tuple[Field, Field, Field]
    """Unit normal in camera coordinates: right, up, towards the camera."""


def cast(who: Columns, shot: Columns) -> Surface:
    """Cast one ray a pixel on the heads of `n` pictures."""
    rotation = _rotation(shot.yaw, shot.pitch)
    x, y = _screen(who, shot, rotation)
    warp = _width(who, y)
    xw = x / warp
    axes = (who.head_width, who.head_height, who.head_depth)
    start = tuple(rotation[0][k] * xw + rotation[1][k] * y for k in range(3))
    ray = rotation[2]
    qa = sum(np.square(ray[k] / axes[k]) for k in range(3))
    qb = sum(start[k] * ray[k] / np.square(axes[k]) for k in range(3))
    qc = sum(np.square(start[k] / axes[k]) for k in range(3))
    edge = np.sqrt(np.maximum(qc - qb * qb / qa, 0))
    reach = np.sqrt(np.maximum(1 - edge * edge, 1e-4) / qa) - qb / qa
    point = [start[k] + reach * ray[k] for k in range(3)]
    base = [point[k] / np.square(axes[k]) for k in range(3)]
    # The relief moves a point along the face's axis; twice is enough, for slopes along the ray are gentle.
    relief = _relief(who, point[0] * warp, point[1])
    for _ in range(2):
        lift = reach + 0.8 * relief * np.maximum(ray[2], 0.3)
        point = [start[k] + lift * ray[k] for k in range(3)]
        relief = _relief(who, point[0] * warp, point[1])
    length = np.sqrt(sum(b * b for b in base))
    normal = [sum(base[k] * rotation[axis][k] for k in range(3)) / length for axis in range(3)]
    slope_y, slope_x = np.gradient(relief * PIXELS_A_UNIT, axis=(1, 2))
    inside = step(0.97 - edge, 0.04)
    normal[0] = normal[0] - slope_x * inside
    normal[1] = normal[1] + slope_y * inside
    length = np.sqrt(sum(n * n for n in normal))
    cover = np.clip((1 - edge) * PIXELS_A_UNIT * 1.1 + 0.5, 0, 1)
    return Surface(
        x, y, point[0] * warp, point[1], point[2], cover, edge,
        (normal[0] / length, normal[1] / length, normal[2] / length),
    )  # fmt: skip


def _rotation(yaw: Field, pitch: Field) -> tuple[tuple[Any, Any, Any], ...]:
    """Give the camera's axes (right, up, towards the camera) in head coordinates."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    return (cy, 0.0, -sy), (sy * sp, cp, cy * sp), (sy * cp, -sp, cy * cp)


def _screen(who: Columns, shot: Columns, rotation: tuple[tuple[Any, Any, Any], ...]) -> tuple[Field, Field]:
    """Give each pixel's place as an aligner would leave it: eyes and mouth stay near their template."""
    lines = np.arange(SIDE, dtype=np.float32)
    x = (lines[None, None, :] - (SIDE - 1) / 2) / PIXELS_A_UNIT
    y = (CENTRE_ROW - lines[None, :, None]) / PIXELS_A_UNIT
    cosine, sine = np.cos(shot.roll), np.sin(shot.roll)
    x, y = (cosine * x + sine * y) / shot.scale - shot.shift_x, (cosine * y - sine * x) / shot.scale - shot.shift_y
    middle = (who.eye_height + who.mouth_height) / 2
    front = who.head_depth * np.sqrt(1 - np.square(middle / who.head_height))
    shift = [rotation[axis][1] * middle + rotation[axis][2] * front for axis in (0, 1)]
    return x + shift[0], y + shift[1] + 0.27


def _width(who: Columns, y: Field) -> Field:
    """Give the factor by which the head is wider than an ellipsoid at each height."""
    width = 1 + who.cheek * bump((y + 0.30) / 0.42) + who.jaw * bump((y + 0.88) / 0.40)
    width = width - who.chin_taper * bump((y + 1.30) / 0.34) + who.forehead * bump((y - 0.85) / 0.5)
    return np.asarray(width)


def _relief(who: Columns, u: Field, v: Field) -> Field:
    """Give how far the face stands out of its ellipsoid at `(u, v)`, in head units."""
    root = who.eye_height + 0.12
    tip = who.eye_height - who.nose_length
    along = np.clip((root - v) / (root - tip), 0, 1.2)
    rise = who.nose_bridge * np.sqrt(along + 1e-4) * (1 - along * 0.5) + (1 - 0.5 * who.nose_bridge) * along**2
    end = step(v - tip + 0.07, 0.07) * step(root + 0.1 - v, 0.14)
    width = 0.085 + (who.nose_width - 0.085) * np.clip(along, 0, 1) ** 2
    nose = who.nose_depth * rise * end * bump(u / width)
    aside = np.abs(u)
    wing = 0.10 * who.nose_depth * blob(aside, v, Box(who.nose_width * 0.85, tip + 0.03, 0.09, 0.08))
    ball = 0.22 * who.nose_depth * blob(u, v, Box(0, tip + 0.04, who.nose_tip, who.nose_tip * 0.8))
    brow = 0.05 * blob(aside, v, Box(who.eye_gap * 0.85, who.eye_height + 0.2, 0.34, 0.1))
    socket = -(0.05 + 0.10 * who.eye_depth) * blob(aside, v, Box(who.eye_gap, who.eye_height + 0.02, 0.26, 0.15))
    ball_eye = 0.035 * blob(aside, v, Box(who.eye_gap, who.eye_height, 0.16, 0.10))
    lips = 0.055 * blob(u, v, Box(0, who.mouth_height, who.mouth_width * 0.9, who.lip_upper + who.lip_lower))
    groove = -0.03 * blob(u, v, Box(0, who.mouth_height - who.lip_lower - 0.09, 0.22, 0.06))
    chin = who.chin * blob(u, v, Box(0, -1.16, 0.24, 0.16))
    cheek = (0.05 + 0.6 * who.cheek) * blob(aside, v, Box(0.62, -0.18, 0.24, 0.2))
    fold = (
        -0.02
        * who.age
        * bump((aside - who.nose_width - 0.10 - 0.5 * (tip - v)) / 0.05)
        * step(tip + 0.05 - v, 0.08)
        * step(v - who.mouth_height + 0.1, 0.1)
    )
    return np.asarray(nose + wing + ball + brow + socket + ball_eye + lips + groove + chin + cheek + fold)
