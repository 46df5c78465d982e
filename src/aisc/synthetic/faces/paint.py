"""The face's colours: skin, eyes, brows, nose, mouth, beard, hair and what is worn, painted on the head's surface."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.synthetic.faces.fields import Box, Columns, Field, blob, bump, noise, over, step
from aisc.synthetic.faces.surface import PIXELS_A_UNIT, Surface

_SOFT = 0.7 / PIXELS_A_UNIT  # half a pixel and a bit: edges stay free of stairs
_WHITE = np.array([0.93, 0.91, 0.89], dtype=np.float32)[None, :, None, None]
_DARK = np.array([0.05, 0.035, 0.03], dtype=np.float32)[None, :, None, None]
_FRECKLE = np.array([0.66, 0.52, 0.42], dtype=np.float32)[None, :, None, None]


class Worn(NamedTuple):
    """What is worn in each picture, `(n, 1, 1)` float32 of 0 and 1."""

    glasses: Field
    hat: Field
    lipstick: Field


def paint_skin(who: Columns, seed: NDArray[np.int64], face: Surface) -> Field:
    """Give the bare skin, `(n, 3, 112, 112)`: tone, shade, blush, freckles, a mole."""
    u, v = face.u, face.v
    aside = np.abs(u)
    canvas = np.broadcast_to(who.skin, (len(u), 3, *u.shape[1:])).copy()
    canvas *= _skin_shade(who, seed, face)[:, None]
    nose_tip = Box(0, who.eye_height - who.nose_length, 0.16, 0.12)
    rosy = who.blush * (blob(aside, v, Box(0.62, -0.28, 0.26, 0.2)) + 0.5 * blob(u, v, nose_tip))
    canvas[:, 1:] *= (1 - 1.3 * rosy)[:, None]
    spots = step(noise(u * 100 + 300, v * 100 + 300, seed + 31) - 1.15, 0.3)
    spots *= who.freckle * (blob(aside, v, Box(0.42, -0.2, 0.5, 0.32)) + 0.25)
    over(canvas, canvas * _FRECKLE, np.clip(spots, 0, 1))
    mole = who.mole * step(0.035 - np.hypot(u - who.mole_x, v - who.mole_y), _SOFT)
    return over(canvas, _DARK * 3, mole)


def _skin_shade(who: Columns, seed: NDArray[np.int64], face: Surface) -> Field:
    """Give how light the skin is, `(n, 112, 112)`: blotches, pores, hollows, the lines of age."""
    u, v = face.u, face.v
    aside = np.abs(u)
    tip = who.eye_height - who.nose_length
    blotches, pores = noise(u * 26 + 90, v * 26 + 90, seed), noise(u * 130 + 400, v * 130 + 400, seed + 7)
    shade = 1 + who.blotch * blotches + 0.015 * pores
    shade *= 1 - 0.20 * (0.3 + who.eye_depth) * blob(aside, v, Box(who.eye_gap, who.eye_height - 0.05, 0.27, 0.17))
    shade *= 1 - 0.13 * bump((v - tip + 0.10) / 0.07) * bump(u / (who.nose_width * 1.1))
    shade *= 1 - 0.16 * bump((aside - who.nose_width * 1.05) / 0.045) * bump((v - tip - 0.03) / 0.10)
    shade *= 1 - 0.10 * bump((v - who.mouth_height + who.lip_lower + 0.09) / 0.05) * bump(u / 0.24)
    folds = bump((aside - who.nose_width - 0.10 - 0.5 * (tip - v)) / 0.035)
    folds = folds * step(tip + 0.06 - v, 0.06) * step(v - who.mouth_height + 0.06, 0.1)
    shade *= 1 - 0.32 * who.age * folds
    lines = bump(((v - 0.70 - 0.03 * np.cos(2 * u)) % 0.115 - 0.055) / 0.018) * step(v - 0.66, 0.05) * bump(u / 0.5)
    shade *= 1 - 0.22 * np.maximum(who.age - 0.45, 0) * lines
    under_eye = v - who.eye_height + 0.17 - 0.25 * np.square(aside - who.eye_gap)
    bags = bump(under_eye / 0.035) * bump((aside - who.eye_gap) / 0.2)
    shade *= 1 - 0.28 * np.maximum(who.age - 0.3, 0) * bags
    return np.asarray(shade)


def paint_eyes(canvas: Field, who: Columns, shot: Columns, face: Surface) -> None:
    """Paint both eyes: white, iris, pupil, spark, lids and lashes."""
    u, v = face.u, face.v
    aside = np.abs(u)
    x = (aside - who.eye_gap) / who.eye_width
    y = v - who.eye_height - who.eye_tilt * (aside - who.eye_gap)
    opened = who.eye_open * (1 - shot.blink) * (1 - 0.25 * np.maximum(shot.smile, 0))
    arch = np.maximum(1 - x * x, 0)
    upper, lower = opened * arch**0.75, -0.62 * opened * arch
    within = step(upper - y, _SOFT) * step(y - lower, _SOFT) * step(1 - np.abs(x), 0.08)
    over(canvas, _WHITE * (0.82 + 0.18 * step(upper - y - 0.03, 0.03))[:, None], within)
    away = np.hypot(u - np.sign(u) * who.eye_gap - 0.06 * shot.gaze_x, y - 0.015 - 0.05 * shot.gaze_y)
    ring = step(who.iris_size - away, _SOFT)
    over(canvas, who.iris * (0.55 + 0.6 * step(who.iris_size * 0.8 - away, 0.03))[:, None], within * ring)
    over(canvas, _DARK * 0.5, within * step(who.iris_size * 0.45 - away, _SOFT))
    spark = np.hypot(u - np.sign(u) * who.eye_gap - 0.06 * shot.gaze_x - 0.025, y - 0.045)
    over(canvas, np.float32(0.95), within * step(0.022 - spark, _SOFT) * 0.85)
    span = step(1.06 - np.abs(x), 0.06)
    over(canvas, _DARK, 0.85 * bump((y - upper) / 0.024) * span)
    over(canvas, canvas * 0.55, 0.6 * bump((y - lower) / 0.02) * span)
    over(canvas, canvas * 0.6, who.lid_crease * bump((y - upper - 0.055) / 0.02) * span)


def paint_brows(canvas: Field, who: Columns, shot: Columns, face: Surface) -> None:
    """Paint both brows in a shade of the hair."""
    aside = np.abs(face.u)
    x = (aside - who.eye_gap * 0.97) / who.brow_width
    middle = (
        who.eye_height
        + who.brow_height
        + shot.brow_raise
        + who.brow_arch * (1 - x * x)
        + who.brow_tilt * 0.5 * x
        - who.brow_arch
    )
    thick = who.brow_thick * np.clip(1.05 - 0.6 * np.maximum(x, 0), 0.2, 1)
    band = step(thick - np.abs(face.v - middle) * 1.0, 0.022) * step(1 - np.abs(x), 0.12)
    hairs = 0.85 + 0.15 * np.sin(face.u * 70 + face.v * 45)
    over(canvas, who.hair * 0.55 + 0.01, band * who.brow_dark * hairs)


def paint_nose(canvas: Field, who: Columns, face: Surface) -> None:
    """Paint the nostrils."""
    tip = who.eye_height - who.nose_length
    aside = np.abs(face.u)
    hole = blob(aside, face.v, Box(who.nose_width * 0.52, tip - 0.055, 0.055, 0.030))
    over(canvas, _DARK * 1.4, np.clip(1.3 * who.nostril * hole, 0, 1))


def paint_mouth(canvas: Field, who: Columns, shot: Columns, worn: Worn, face: Surface) -> None:
    """Paint lips, and teeth and the dark inside where the mouth is open."""
    u = face.u
    wide = who.mouth_width * (1 + 0.20 * shot.smile - 0.10 * shot.mouth_open)
    x = u / wide
    reach = np.maximum(1 - x * x, 0)
    curve = (who.mouth_corner + 0.17 * shot.smile) * (np.minimum(x * x, 1.2) - 0.35)
    y = face.v - who.mouth_height - curve
    gape = 0.13 * shot.mouth_open * reach**0.6
    notch = who.cupid * (bump(x / 0.16) - 0.6 * bump((np.abs(x) - 0.3) / 0.25))
    top = gape * 0.55 + who.lip_upper * reach**0.8 - notch * reach
    bottom = -gape - who.lip_lower * reach**0.65
    lips = step(top - y, _SOFT) * step(y - bottom, _SOFT) * step(1 - np.abs(x), 0.06)
    tint = who.lip + worn.lipstick[:, None] * (shot.lipstick - who.lip) * 0.85
    over(canvas, tint * (0.9 + 0.25 * bump((y - bottom * 0.55) / 0.05))[:, None], lips * 0.92)
    gap = step(gape * 0.55 - y, _SOFT) * step(y + gape, _SOFT) * step(gape - 0.012, 0.01)
    over(canvas, _DARK, gap)
    teeth = gap * step(y - gape * (0.55 - 0.75), _SOFT) * step(0.86 - np.abs(x), 0.1)
    over(canvas, _WHITE * 0.92, teeth * 0.95)
    over(canvas, canvas * 0.35, 0.9 * bump(y / 0.018) * step(1.04 - np.abs(x), 0.05) * (1 - step(gape - 0.02, 0.015)))


def paint_beard(canvas: Field, who: Columns, seed: NDArray[np.int64], face: Surface) -> None:
    """Paint beard and moustache."""
    u, v = face.u, face.v
    aside = np.abs(u)
    grain = 0.75 + 0.25 * noise(u * 130 + 300, v * 80 + 300, seed + 3)
    below = who.mouth_height - who.lip_lower - 0.03
    line = below + 0.12 + 1.15 * np.maximum(aside - who.mouth_width * 0.72, 0) - 0.12 * step(0.3 - aside, 0.1)
    over(canvas, who.hair * 0.8, np.clip(who.beard * step(line - v, 0.07) * grain, 0, 1))
    lip = who.mouth_height + who.lip_upper
    tache = step(lip + 0.125 - v - 0.32 * np.square(aside), 0.03) * step(v - lip + 0.02 + 0.7 * np.square(aside), 0.03)
    over(
        canvas,
        who.hair * 0.8,
        np.clip(who.moustache * tache * step(who.mouth_width * 1.05 - aside, 0.05) * grain, 0, 1),
    )


def front_hair(who: Columns, shot: Columns, seed: NDArray[np.int64], face: Surface) -> Field:
    """Give where hair covers the head's own surface, `(n, 112, 112)` in [0, 1]."""
    u, v = face.u, face.v
    aside = np.abs(u)
    ragged = 0.045 * noise(u * 50 + 190, v * 8 + 100, seed + 11)
    line = (
        who.hairline
        + shot.hair_shift
        - who.hair_peak * bump((u - 0.1 * who.hair_part) / 0.28)
        - 0.55 * np.maximum(aside - 0.45, 0) ** 1.5
    )
    fringe = who.eye_height + who.brow_height + 0.16 + 0.10 * np.square(u - 0.6 * who.hair_part)
    line = line + who.bangs * (np.minimum(line, fringe) - line)
    side = 0.93 * who.head_width - 0.06 * who.hair_volume - 0.10 * step(who.hair_length - 0.4, 0.3)
    low = -who.hair_length - 0.05
    temples = step(aside - side + ragged, 0.04) * step(v - low, 0.08)
    crown = step(v - line + ragged, 0.035)
    behind = step(-face.depth - 0.05, 0.1) * step(v - low, 0.1)
    return np.asarray(np.clip(np.maximum(np.maximum(crown, temples), behind), 0, 1) * (1 - who.bald))


def hair_tint(who: Columns, seed: NDArray[np.int64], face: Surface) -> Field:
    """Give the hair's colour with its strands, `(n, 3, 112, 112)`."""
    x = face.screen_x - 0.3 * who.hair_part
    angle = np.arctan2(x, face.screen_y + 1.2)
    wave = who.hair_curl * 0.05 * np.sin(face.screen_y * 11 + 4 * face.screen_x)
    strands = noise((angle + wave) * 120 + 500, face.screen_y * 7 + 40, seed + 17)
    gloss = bump((np.hypot(face.screen_x, face.screen_y) - 1.22) / 0.16)
    return np.asarray(who.hair * (0.92 + 0.11 * strands + 0.25 * gloss)[:, None])


def paint_glasses(canvas: Field, shot: Columns, who: Columns, worn: Worn, face: Surface) -> None:
    """Paint lenses, rims, the bridge and the temples of glasses."""
    aside = np.abs(face.u)
    x = (aside - who.eye_gap * 1.02) / 0.335
    y = (face.v - who.eye_height + 0.04) / (0.235 + 0.05 * shot.glasses_round)
    power = 4.0 - 2.0 * shot.glasses_round
    away = (np.abs(x) ** power + np.abs(y) ** power) ** (1 / power)
    front = worn.glasses * step(face.depth - 0.25, 0.1)
    over(canvas, shot.glasses * 0.5, front * shot.glasses_dark * step(1 - away, 0.04))
    rim = step(shot.glasses_thick - np.abs(away - 1) * 0.29, _SOFT)
    bridge = step(shot.glasses_thick * 0.8 - np.abs(face.v - who.eye_height - 0.03), _SOFT) * step(
        who.eye_gap - 0.3 - aside, 0.03
    )
    over(canvas, shot.glasses, np.clip(front * np.maximum(rim, bridge), 0, 1))
    arm = step(shot.glasses_thick - np.abs(face.v - who.eye_height - 0.06), _SOFT) * step(
        aside - who.eye_gap - 0.33, 0.03
    )
    over(canvas, shot.glasses, np.clip(worn.glasses * arm, 0, 1))
