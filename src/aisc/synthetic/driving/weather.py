"""Weather and time of day: what they do to light, sky, road and view."""

from typing import Final, Literal, NamedTuple

WeatherName = Literal["clear", "overcast", "dusk", "fog", "rain", "snow", "night"]
Colour = tuple[float, float, float]


class Weather(NamedTuple):
    """Light and air of a scene; colours in grey levels, gains relative to noon.

    Attributes:
        light: Gain of surfaces that face the camera, red, green and blue.
        ground: Gain of the road.
        zenith: Colour of the sky at the top of the frame.
        low: Colour of the sky at the horizon; fog has it too.
        fog: Share of the view that a metre of air takes.
        clouds: Contrast of the clouds in grey levels.
        shade: How dark shadows of trees and vehicles are, in [0, 1].
        fall: What falls.
        headlights: Strength of the own headlights.
    """

    light: Colour
    ground: Colour
    zenith: Colour
    low: Colour
    fog: float
    clouds: float
    shade: float
    fall: Literal["nothing", "rain", "snow"] = "nothing"
    headlights: float = 0.0


WEATHERS: Final[dict[WeatherName, Weather]] = {
    "clear": Weather((1.0, 0.98, 0.94), (1.0, 0.98, 0.93), (88, 140, 205), (190, 212, 230), 0.0012, 26, 0.55),
    "overcast": Weather((0.80, 0.82, 0.85), (0.80, 0.82, 0.85), (150, 158, 168), (198, 203, 208), 0.003, 18, 0.25),
    "dusk": Weather((0.74, 0.60, 0.50), (0.66, 0.54, 0.48), (92, 92, 134), (240, 172, 110), 0.002, 34, 0.40),
    "fog": Weather((0.80, 0.82, 0.83), (0.82, 0.84, 0.85), (184, 190, 194), (200, 205, 208), 0.016, 4, 0.15),
    "rain": Weather((0.62, 0.65, 0.70), (0.52, 0.56, 0.62), (118, 126, 136), (164, 171, 178), 0.007, 14, 0.20, "rain"),
    "snow": Weather((0.82, 0.86, 0.92), (0.95, 0.97, 1.0), (182, 190, 200), (212, 217, 223), 0.006, 8, 0.15, "snow"),
    "night": Weather((0.30, 0.31, 0.37), (0.26, 0.27, 0.32), (12, 16, 34), (42, 46, 66), 0.0025, 6, 0.10,
                     headlights=1.0),
}  # fmt: skip
"""Every weather that scenes and training frames use."""
