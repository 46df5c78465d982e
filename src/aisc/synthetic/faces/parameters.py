"""Who is in the picture and how it was taken: the two parameter sets of a procedural face, and its attributes.

Lengths are in head units: 1 unit is about 34 pixels of a 112 x 112 picture, and the origin lies between eyes and mouth.
Colours are display RGB in [0, 1]. Angles are radians.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ATTRIBUTES = (
    "eyeglasses",
    "hat",
    "smiling",
    "mouth_open",
    "lipstick",
    "beard",
    "moustache",
    "blond_hair",
    "bald",
    "bangs",
    "long_hair",
    "strong_jaw",
    "heavy_brows",
    "freckles",
    "pale_skin",
)
"""Names of the binary attributes, in the order of the columns that `attributes` gives."""

SMILE_LIMIT = 0.35
OPEN_LIMIT = 0.30
HEAVY_BROW = 0.068
STRONG_JAW = 0.06
PALE = 0.62

Colour = tuple[float, float, float]

# Lightest to darkest; an identity lies anywhere between two neighbours.
_SKINS = ((0.95, 0.78, 0.68), (0.90, 0.69, 0.55), (0.80, 0.58, 0.42), (0.62, 0.42, 0.29), (0.42, 0.27, 0.19))
_HAIRS: dict[str, Colour] = {
    "black": (0.06, 0.05, 0.05),
    "brown": (0.24, 0.14, 0.08),
    "auburn": (0.42, 0.18, 0.09),
    "blond": (0.80, 0.64, 0.34),
    "grey": (0.58, 0.57, 0.56),
}
_IRISES: tuple[Colour, ...] = (
    (0.22, 0.12, 0.06),
    (0.10, 0.06, 0.04),
    (0.20, 0.42, 0.62),
    (0.25, 0.45, 0.28),
    (0.42, 0.46, 0.48),
)


class Identity(NamedTuple):
    """What stays the same in every picture of one person."""

    head_width: float
    head_height: float
    head_depth: float
    cheek: float
    jaw: float
    chin_taper: float
    forehead: float
    chin: float
    skin: Colour
    skin_tone: float
    blotch: float
    blush: float
    freckle: float
    age: float
    texture: int
    mole_x: float
    mole_y: float
    mole: float
    eye_gap: float
    eye_height: float
    eye_width: float
    eye_open: float
    eye_tilt: float
    eye_depth: float
    lid_crease: float
    iris: Colour
    iris_size: float
    brow_height: float
    brow_width: float
    brow_thick: float
    brow_arch: float
    brow_tilt: float
    brow_dark: float
    nose_length: float
    nose_width: float
    nose_depth: float
    nose_bridge: float
    nose_tip: float
    nostril: float
    mouth_height: float
    mouth_width: float
    lip_upper: float
    lip_lower: float
    cupid: float
    mouth_corner: float
    lip: Colour
    hair: Colour
    blond: float
    bald: float
    hairline: float
    hair_peak: float
    hair_part: float
    hair_volume: float
    hair_length: float
    hair_curl: float
    bangs: float
    beard: float
    moustache: float
    ear: float
    glasses_habit: float
    lipstick_habit: float

    @staticmethod
    def draw(rng: np.random.Generator) -> "Identity":
        """Draw a person: features are independent except those that hair, beard and build share."""
        masculine = rng.random() < 0.5
        tone = float(rng.random() ** 1.4)
        skin = _between(_SKINS, tone * (len(_SKINS) - 1)) * rng.normal(1.0, 0.03, 3)
        hair_name = _hair_name(rng, tone)
        hair = np.array(_HAIRS[hair_name]) * rng.uniform(0.75, 1.25) * rng.normal(1.0, 0.05, 3)
        bald = masculine and rng.random() < 0.16
        long_hair = rng.random() < (0.12 if masculine else 0.8)
        bearded = masculine and rng.random() < 0.4
        lip = np.clip(skin * np.array([0.86, 0.56, 0.56]) + rng.normal(0, 0.03, 3), 0.02, 1)
        return Identity(
            head_width=_around(rng, 1.10, 0.055),
            head_height=_around(rng, 1.46, 0.055),
            head_depth=_around(rng, 1.22, 0.06),
            cheek=_around(rng, 0.02, 0.035),
            jaw=_around(rng, 0.09 if masculine else 0.02, 0.045),
            chin_taper=_around(rng, 0.06 if masculine else 0.11, 0.04),
            forehead=_around(rng, 0.0, 0.035),
            chin=_around(rng, 0.07, 0.04),
            skin=_colour(skin),
            skin_tone=tone,
            blotch=float(rng.uniform(0.02, 0.10)),
            blush=float(rng.uniform(0.0, 0.16)),
            freckle=float(rng.uniform(0.4, 0.9)) if rng.random() < 0.22 else 0.0,
            age=float(rng.random()),
            texture=int(rng.integers(2**31)),
            mole_x=float(rng.uniform(-0.75, 0.75)),
            mole_y=float(rng.uniform(-1.05, 0.05)),
            mole=float(rng.uniform(0.5, 0.9)) if rng.random() < 0.4 else 0.0,
            eye_gap=_around(rng, 0.46, 0.035),
            eye_height=_around(rng, 0.22, 0.035),
            eye_width=_around(rng, 0.225, 0.02),
            eye_open=_around(rng, 0.098, 0.018),
            eye_tilt=_around(rng, 0.04, 0.09),
            eye_depth=float(rng.uniform(0.05, 0.45)),
            lid_crease=float(rng.uniform(0.0, 0.6)),
            iris=_colour(np.array(_IRISES[_iris_index(rng, tone)]) * rng.uniform(0.8, 1.25)),
            iris_size=_around(rng, 0.092, 0.006),
            brow_height=_around(rng, 0.265, 0.035),
            brow_width=_around(rng, 0.30, 0.03),
            brow_thick=_around(rng, 0.075 if masculine else 0.05, 0.016),
            brow_arch=_around(rng, 0.07, 0.04),
            brow_tilt=_around(rng, -0.04, 0.07),
            brow_dark=float(rng.uniform(0.45, 0.95)),
            nose_length=_around(rng, 0.55, 0.06),
            nose_width=_around(rng, 0.20, 0.035),
            nose_depth=_around(rng, 0.30, 0.05),
            nose_bridge=float(rng.uniform(0.15, 0.75)),
            nose_tip=_around(rng, 0.15, 0.025),
            nostril=float(rng.uniform(0.3, 0.9)),
            mouth_height=_around(rng, -0.76, 0.045),
            mouth_width=_around(rng, 0.37, 0.045),
            lip_upper=_around(rng, 0.070, 0.020),
            lip_lower=_around(rng, 0.098, 0.024),
            cupid=float(rng.uniform(0.0, 0.04)),
            mouth_corner=_around(rng, 0.0, 0.025),
            lip=_colour(lip),
            hair=_colour(hair),
            blond=float(hair_name == "blond"),
            bald=float(bald),
            hairline=_around(rng, 0.90, 0.09),
            hair_peak=float(rng.uniform(-0.10, 0.16)),
            hair_part=float(rng.uniform(-0.6, 0.6)),
            hair_volume=float(rng.uniform(0.10, 0.28)) if long_hair else float(rng.uniform(0.03, 0.15)),
            hair_length=float(rng.uniform(0.9, 2.2)) if long_hair else float(rng.uniform(-0.35, 0.15)),
            hair_curl=float(rng.random()),
            bangs=float(not bald and rng.random() < 0.28),
            beard=float(rng.uniform(0.45, 0.95)) if bearded else 0.0,
            moustache=float(rng.uniform(0.5, 0.95)) if masculine and rng.random() < (0.8 if bearded else 0.12) else 0.0,
            ear=_around(rng, 0.20, 0.03),
            glasses_habit=0.75 if rng.random() < 0.22 else 0.10,
            lipstick_habit=0.05 if masculine else float(rng.uniform(0.1, 0.7)),
        )


class Shot(NamedTuple):
    """What differs between two pictures of one person."""

    yaw: float
    pitch: float
    roll: float
    scale: float
    shift_x: float
    shift_y: float
    smile: float
    mouth_open: float
    blink: float
    brow_raise: float
    gaze_x: float
    gaze_y: float
    light_x: float
    light_y: float
    light: float
    ambient: float
    warmth: float
    shine: float
    exposure: float
    contrast: float
    blur: float
    grain: float
    seed: int
    backdrop: Colour
    backdrop_tilt: float
    clothes: Colour
    glasses_draw: float
    glasses_round: float
    glasses_thick: float
    glasses_dark: float
    glasses: Colour
    hat_draw: float
    hat: Colour
    lipstick_draw: float
    lipstick: Colour
    hair_shift: float

    @staticmethod
    def draw(rng: np.random.Generator) -> "Shot":
        """Draw a pose, an expression, a light, a camera and what is worn."""
        smiling = rng.random() < 0.42
        opened = rng.random() < 0.28
        frame = rng.uniform(0.02, 0.35) if rng.random() < 0.8 else rng.uniform(0.4, 0.8)
        return Shot(
            yaw=float(np.clip(rng.normal(0, 0.22), -0.55, 0.55)),
            pitch=float(np.clip(rng.normal(0, 0.12), -0.3, 0.3)),
            roll=float(rng.normal(0, 0.035)),
            scale=float(rng.normal(1.0, 0.025)),
            shift_x=float(rng.normal(0, 0.03)),
            shift_y=float(rng.normal(0, 0.03)),
            smile=float(rng.uniform(0.45, 1.0)) if smiling else float(rng.uniform(-0.25, 0.25)),
            mouth_open=float(rng.uniform(0.4, 1.0)) if opened else float(rng.uniform(0.0, 0.12)),
            blink=float(rng.uniform(0.0, 0.35)) if rng.random() < 0.93 else float(rng.uniform(0.6, 0.85)),
            brow_raise=float(rng.normal(0, 0.025)),
            gaze_x=float(rng.normal(0, 0.3)),
            gaze_y=float(rng.normal(0, 0.15)),
            light_x=float(rng.normal(0, 0.6)),
            light_y=float(rng.normal(0.45, 0.3)),
            light=float(rng.uniform(0.55, 1.02)),
            ambient=float(rng.uniform(0.30, 0.60)),
            warmth=float(rng.normal(0, 0.06)),
            shine=float(rng.uniform(0.02, 0.22)),
            exposure=float(rng.uniform(0.82, 1.18)),
            contrast=float(rng.uniform(0.88, 1.15)),
            blur=float(rng.uniform(0.0, 0.9)),
            grain=float(rng.uniform(0.004, 0.028)),
            seed=int(rng.integers(2**31)),
            backdrop=_colour(_muted(rng)),
            backdrop_tilt=float(rng.uniform(-0.35, 0.35)),
            clothes=_colour(_muted(rng)),
            glasses_draw=float(rng.random()),
            glasses_round=float(rng.random()),
            glasses_thick=float(rng.uniform(0.018, 0.045)),
            glasses_dark=float(rng.uniform(0.0, 0.12)) if rng.random() < 0.85 else float(rng.uniform(0.5, 0.75)),
            glasses=_colour(frame * rng.normal(1.0, 0.15, 3)),
            hat_draw=float(rng.random()),
            hat=_colour(_muted(rng)),
            lipstick_draw=float(rng.random()),
            lipstick=_colour(np.array([rng.uniform(0.5, 0.85), rng.uniform(0.05, 0.2), rng.uniform(0.1, 0.3)])),
            hair_shift=float(rng.normal(0, 0.025)),
        )


HAT_SHARE = 0.12
"""Share of pictures in which a hat is worn."""


def wears_glasses(identity: Identity, shot: Shot) -> bool:
    """Tell whether this picture shows glasses: a habit of the person and the shot's own draw."""
    return shot.glasses_draw < identity.glasses_habit


def wears_hat(shot: Shot) -> bool:
    """Tell whether this picture shows a hat."""
    return shot.hat_draw < HAT_SHARE


def wears_lipstick(identity: Identity, shot: Shot) -> bool:
    """Tell whether this picture shows painted lips."""
    return shot.lipstick_draw < identity.lipstick_habit


def attributes(identity: Identity, shot: Shot) -> NDArray[np.bool_]:
    """Give the ground truth of one picture, `(15,)` bool, in the order of `ATTRIBUTES`.

    The first five belong to the shot (some through a habit of the person), the others to the person.
    """
    return np.array(
        [
            wears_glasses(identity, shot),
            wears_hat(shot),
            shot.smile > SMILE_LIMIT,
            shot.mouth_open > OPEN_LIMIT,
            wears_lipstick(identity, shot),
            identity.beard > 0,
            identity.moustache > 0,
            identity.blond > 0 and identity.bald == 0,
            identity.bald > 0,
            identity.bangs > 0,
            identity.hair_length > 0.5 and identity.bald == 0,
            identity.jaw > STRONG_JAW,
            identity.brow_thick > HEAVY_BROW,
            identity.freckle > 0,
            identity.skin_tone < 1 - PALE,
        ],
        dtype=np.bool_,
    )


def _around(rng: np.random.Generator, centre: float, spread: float) -> float:
    """Draw from a normal cut at 2.2 spreads: outliers would look like monsters."""
    return float(centre + spread * np.clip(rng.normal(), -2.2, 2.2))


def _colour(values: NDArray[np.float64]) -> Colour:
    red, green, blue = np.clip(values, 0.01, 1.0)
    return float(red), float(green), float(blue)


def _muted(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the colour of a wall or a cloth: mostly near grey."""
    grey = rng.uniform(0.08, 0.88)
    return np.asarray(grey + rng.uniform(0.1, 0.7) * (rng.uniform(0.05, 0.9, 3) - grey))


def _between(table: tuple[Colour, ...], position: float) -> NDArray[np.float64]:
    low = min(int(position), len(table) - 2)
    part = position - low
    return (1 - part) * np.array(table[low]) + part * np.array(table[low + 1])


def _hair_name(rng: np.random.Generator, tone: float) -> str:
    """Fair hair goes with fair skin more often than not."""
    light = max(0.0, 0.9 - tone)
    weights = np.array([0.35 + tone, 0.5, 0.15 * light + 0.03, 0.75 * light, 0.16])
    return str(rng.choice(list(_HAIRS), p=weights / weights.sum()))


def _iris_index(rng: np.random.Generator, tone: float) -> int:
    light = max(0.0, 0.85 - tone)
    weights = np.array([0.6, 0.4, 0.6 * light, 0.4 * light, 0.3 * light])
    return int(rng.choice(len(_IRISES), p=weights / weights.sum()))
