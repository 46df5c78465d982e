"""The PNG check against every format and lie an image can bring (THREATS T28 to T34), with Pillow as the oracle."""

import io
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from forge import Image, chunk, filtered, header, photo, png
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL import PngImagePlugin

from aisc.errors import PlatformError
from aisc.submission import png as module
from aisc.submission.findings import RuleBrokenError
from aisc.submission.png import PNG_RULES, decode_png

SIZE = (112, 112)
FACE = photo(1)
PIXELS = zlib.compress(filtered(FACE))
TEXT_BOMB = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 24), 9))
PROFILE_BOMB = chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1 << 24), 9))


def pillow(image: Image, mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    PillowImage.fromarray(image).convert(mode).save(out, options.pop("format", "PNG"), **options)  # type: ignore[arg-type]
    return out.getvalue()


def by_pillow(data: bytes) -> Image:
    return np.asarray(PillowImage.open(io.BytesIO(data)).convert("RGB"))


def code_of(data: bytes, size: tuple[int, int] = SIZE) -> str:
    with pytest.raises(RuleBrokenError) as caught:
        decode_png(data, size)
    assert caught.value.message.endswith(".")
    return caught.value.rule.code


def opencv(image: np.ndarray, extension: str = ".png") -> bytes:  # type: ignore[type-arg]
    return cv2.imencode(extension, image)[1].tobytes()


def animated() -> bytes:
    out = io.BytesIO()
    frames = [PillowImage.fromarray(photo(seed)) for seed in (1, 2)]
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    return out.getvalue()


def with_text() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "something")
    return pillow(FACE, pnginfo=info)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


BOMBS = {
    "144-megapixels": ("PNG_SIZE", png(FACE, head=header(12_000, 12_000))),
    "4-gigapixels-squared": ("PNG_SIZE", png(FACE, head=header(2**31 - 1, 2**31 - 1))),
    "no-width": ("PNG_SIZE", png(FACE, head=header(0, 112))),
    "smaller": ("PNG_SIZE", png(photo(1, 111, 112))),
    "turned": ("PNG_SIZE", png(photo(1, 56, 224))),
    "more-rows-than-told": ("PNG_BOMB", png(FACE, data=zlib.compress(filtered(FACE) + b"\0"))),
    "inflates-to-64-MB": ("PNG_BOMB", png(FACE, data=zlib.compress(bytes(1 << 26), 9))),
    "many-chunks": ("PNG_CHUNK", png(FACE, pieces=400)),
}
CHUNKS = {
    "text-bomb": ("PNG_TEXT", png(FACE, before=TEXT_BOMB)),
    "profile-bomb": ("PNG_COLOUR_PROFILE", png(FACE, before=PROFILE_BOMB)),
    "text": ("PNG_TEXT", with_text()),
    "international-text": ("PNG_TEXT", png(FACE, after=chunk(b"iTXt", b"a\0\0\0\0\0b"))),
    "unknown": ("PNG_CHUNK", png(FACE, before=chunk(b"prVt", b"anything"))),
    "time": ("PNG_CHUNK", png(FACE, after=chunk(b"tIME", bytes(7)))),
    "not-letters": ("PNG_CHUNK", png(FACE, before=chunk(b"\0\xff\n\x1b", b""))),
    "density-with-passenger": ("PNG_CHUNK", png(FACE, before=chunk(b"pHYs", bytes(90)))),
    "density-twice": ("PNG_CHUNK", png(FACE, before=chunk(b"pHYs", bytes(9)) * 2)),
    "second-header": ("PNG_CHUNK", png(FACE, before=header())),
    "pixels-interrupted": ("PNG_CHUNK", png(FACE, pieces=3, between=chunk(b"pHYs", bytes(9)))),
    "end-with-data": ("PNG_CHUNK", png(FACE, end=chunk(b"IEND", b"data"))),
}
FORMATS = {
    "tiff": ("TIFF", pillow(FACE, format="TIFF")),
    "eps": ("EPS", b"%!PS-Adobe-3.0 EPSF-3.0\n"),
    "jpeg": ("JPEG", opencv(FACE, ".jpg")),
    "gif": ("GIF", pillow(FACE, format="GIF")),
    "bmp": ("BMP", opencv(FACE, ".bmp")),
    "webp": ("WebP", pillow(FACE, format="WEBP")),
    "ppm": ("PPM", opencv(FACE, ".ppm")),
    "svg": ("SVG", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    "noise": ("no picture format", bytes(range(200, 255))),
}
POLYGLOTS = {
    "zip-behind": png(FACE) + b"PK\x03\x04whatever",
    "one-byte": png(FACE) + b"\0",
    "image-behind": png(FACE) * 2,
    "behind-the-pixel-stream": png(FACE, data=PIXELS + b"secret"),
}
HEADERS = {
    "16-bit": ("PNG_BIT_DEPTH", opencv(FACE.astype(np.uint16) * 257)),
    "16-bit-gray": ("PNG_BIT_DEPTH", opencv(FACE[..., 0].astype(np.uint16) * 257)),
    "1-bit": ("PNG_BIT_DEPTH", pillow(FACE, "1")),
    "gray": ("PNG_GRAY", pillow(FACE, "L")),
    "gray-alpha": ("PNG_ALPHA", pillow(FACE, "LA")),
    "palette": ("PNG_PALETTE", pillow(FACE, "P")),
    "alpha": ("PNG_ALPHA", pillow(FACE, "RGBA")),
    "transparent-colour": ("PNG_ALPHA", pillow(FACE, transparency=(1, 2, 3))),
    "suggested-palette": ("PNG_PALETTE", png(FACE, before=chunk(b"PLTE", bytes(3)))),
    "gamma": ("PNG_COLOUR_PROFILE", png(FACE, before=chunk(b"gAMA", struct.pack(">I", 100_000)))),
    "srgb": ("PNG_COLOUR_PROFILE", png(FACE, before=chunk(b"sRGB", b"\0"))),
    "profile": ("PNG_COLOUR_PROFILE", pillow(FACE, icc_profile=b"profile")),
    "rotation": (
        "PNG_EXIF",
        pillow(FACE, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"),
    ),
    "interlaced": ("PNG_INTERLACED", png(FACE, head=header(interlace=1))),
    "odd-interlace": ("PNG_HEADER", png(FACE, head=header(interlace=2))),
    "odd-colour": ("PNG_HEADER", png(FACE, head=header(colour=5))),
    "odd-compression": ("PNG_HEADER", png(FACE, head=header(compression=1))),
    "odd-filter": ("PNG_HEADER", png(FACE, head=header(filters=64))),
    "long-header": ("PNG_HEADER", png(FACE, head=chunk(b"IHDR", bytes(99)))),
    "header-not-first": ("PNG_HEADER", png(FACE, head=chunk(b"pHYs", bytes(9)) + header())),
}
DAMAGED = {
    "empty": ("PNG_TRUNCATED", b""),
    "signature-alone": ("PNG_TRUNCATED", png(FACE)[:8]),
    "half-a-signature": ("PNG_TRUNCATED", png(FACE)[:4]),
    "cut-in-pixels": ("PNG_TRUNCATED", png(FACE)[:10_000]),
    "cut-before-end": ("PNG_TRUNCATED", png(FACE)[:-12]),
    "length-lies": ("PNG_TRUNCATED", png(FACE, before=b"\xff\xff\xff\xffIDAT")),
    "no-pixels": ("PNG_TRUNCATED", png(FACE, data=b"")),
    "half-the-pixel-stream": ("PNG_TRUNCATED", png(FACE, data=PIXELS[: len(PIXELS) // 2])),
    "half-the-rows": ("PNG_TRUNCATED", png(FACE, data=zlib.compress(filtered(FACE)[: 337 * 56]))),
    "no-adler": ("PNG_TRUNCATED", png(FACE, data=PIXELS[:-4])),
    "wrong-adler": ("PNG_CORRUPT", png(FACE, data=PIXELS[:-1] + bytes([PIXELS[-1] ^ 1]))),
    "wrong-bytes": ("PNG_CORRUPT", png(FACE, data=flipped(PIXELS, 0))),
    "needs-a-dictionary": ("PNG_CORRUPT", png(FACE, data=b"\x78\xbb" + bytes(50))),
    "unknown-filter": ("PNG_CORRUPT", png(FACE, data=zlib.compress(b"\x05" + filtered(FACE)[1:]))),
    "checksum-of-pixels": ("PNG_CRC", flipped(png(FACE), 5000)),
    "checksum-of-header": ("PNG_CRC", flipped(png(FACE), 18)),
    "checksum-of-end": ("PNG_CRC", flipped(png(FACE), len(png(FACE)) - 1)),
}


@pytest.mark.parametrize(("code", "data"), BOMBS.values(), ids=BOMBS)
def test_T28_a_pixel_bomb_is_refused_before_allocation(code: str, data: bytes) -> None:
    tracemalloc.start()
    assert code_of(data) == code
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500_000
    assert PNG_RULES[code].effect == "refused"


@pytest.mark.parametrize(("code", "data"), CHUNKS.values(), ids=CHUNKS)
def test_T29_chunks_that_are_not_pixels_are_refused_and_not_inflated(code: str, data: bytes) -> None:
    tracemalloc.start()
    assert code_of(data) == code
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500_000
    assert PNG_RULES[code].effect == "refused"


@pytest.mark.parametrize(("seen", "data"), FORMATS.values(), ids=FORMATS)
def test_T30_another_format_is_named(seen: str, data: bytes) -> None:
    with pytest.raises(RuleBrokenError, match=seen) as caught:
        decode_png(data, SIZE)
    assert (caught.value.rule.code, caught.value.rule.effect) == ("PNG_NOT_PNG", "refused")


@pytest.mark.parametrize("data", POLYGLOTS.values(), ids=POLYGLOTS)
def test_T31_nothing_may_follow_the_image(data: bytes) -> None:
    assert code_of(data) == "PNG_TRAILING_BYTES"
    assert PNG_RULES["PNG_TRAILING_BYTES"].effect == "refused"


@pytest.mark.parametrize("case", ["16-bit", "16-bit-gray", "1-bit"])
def test_T32_only_8_bits_a_channel(case: str) -> None:
    assert code_of(HEADERS[case][1]) == "PNG_BIT_DEPTH"


@pytest.mark.parametrize(("code", "data"), HEADERS.values(), ids=HEADERS)
def test_T33_anything_decoders_disagree_about_is_refused(code: str, data: bytes) -> None:
    assert code_of(data) == code
    assert PNG_RULES[code].effect == "refused"


def test_T34_an_animation_is_refused() -> None:
    assert code_of(animated()) == "PNG_ANIMATED"
    assert PNG_RULES["PNG_ANIMATED"].effect == "refused"


@pytest.mark.parametrize(("code", "data"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_image_is_a_failed_attack_and_never_a_half_decoded_one(code: str, data: bytes) -> None:
    assert code_of(data) == code
    assert PNG_RULES[code].effect == "failed"


def test_where_alpha_is_asked_for_it_is_kept_and_its_absence_is_refused() -> None:
    canvas = np.random.default_rng(3).integers(0, 256, (*FACE.shape[:2], 4), dtype=np.uint8)
    out = io.BytesIO()
    PillowImage.fromarray(canvas).save(out, "PNG")
    assert (decode_png(out.getvalue(), canvas.shape[:2], alpha=True) == canvas).all()
    with pytest.raises(RuleBrokenError) as error:
        decode_png(pillow(FACE, "RGB"), FACE.shape[:2], alpha=True)
    assert error.value.rule.code == "PNG_NO_ALPHA"


def test_every_code_of_a_png_is_provoked_above() -> None:
    provoked = {code for table in (BOMBS, CHUNKS, HEADERS, DAMAGED) for code, _ in table.values()}
    assert provoked | {"PNG_NOT_PNG", "PNG_TRAILING_BYTES", "PNG_ANIMATED", "PNG_NO_ALPHA"} == set(PNG_RULES)


@pytest.mark.parametrize(
    "data",
    [
        opencv(FACE[..., ::-1]),
        cv2.imencode(".png", FACE[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes(),
        cv2.imencode(".png", FACE[..., ::-1], [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FIXED])[1].tobytes(),
        pillow(FACE),
        pillow(FACE, optimize=True),
        pillow(FACE, compress_level=0),
        pillow(FACE, dpi=(72, 72)),
        png(FACE),
        png(FACE, pieces=200),
        png(FACE, before=chunk(b"pHYs", bytes(9)), pieces=3, between=chunk(b"IDAT")),
    ],
)
def test_common_encoders_pass_and_pixels_are_exact(data: bytes) -> None:
    decoded = decode_png(data, SIZE)
    assert decoded.dtype == np.uint8
    assert decoded.flags.writeable
    np.testing.assert_array_equal(decoded, FACE)
    np.testing.assert_array_equal(by_pillow(data), FACE)


@pytest.mark.parametrize("size", [(112, 112), (1, 1), (3, 5), (160, 150), (300, 401)])
def test_all_row_filters_and_sizes_decode_like_pillow(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(size[0])
    for image in (photo(3, *size), rng.integers(0, 256, (*size, 3), dtype=np.uint8)):
        data = png(image, rng.integers(0, 5, size[0]).tolist())
        np.testing.assert_array_equal(decode_png(data, size), image)
        np.testing.assert_array_equal(by_pillow(data), image)


def test_a_broken_decoder_is_the_platforms_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_header", lambda size: b"")
    with pytest.raises(PlatformError, match="PNG_DECODER"):
        decode_png(png(FACE), SIZE)


TINY = photo(5, 6, 7)
TINY_PNG = png(TINY, [0, 1, 2, 3, 4, 1])


def agrees_with_pillow(data: bytes) -> None:
    """Decode or refuse; what is decoded, Pillow must decode to the same pixels."""
    try:
        pixels = decode_png(data, TINY.shape[:2])
    except RuleBrokenError:
        return
    np.testing.assert_array_equal(pixels, by_pillow(data))


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.integers(0, len(TINY_PNG) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_T32_random_damage_never_raises_and_never_shows_other_pixels(changes: list[tuple[int, int]]) -> None:
    data = bytearray(TINY_PNG)
    for at, value in changes:
        data[at] = value
    agrees_with_pillow(bytes(data))


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(
    head=st.tuples(st.sampled_from([7, 8]), st.sampled_from([6, 12]), *[st.integers(0, 8)] * 5),
    honest_head=st.booleans(),
    rows=st.binary(min_size=0, max_size=200),
    changes=st.lists(st.tuples(st.integers(0, 131), st.integers(0, 255)), max_size=4),
    kind=st.sampled_from([b"IDAT", b"pHYs", b"tEXt", b"PLTE", b"tRNS", b"acTL", b"abCd"]),
    extra=st.binary(max_size=12),
    pieces=st.integers(1, 4),
)
def test_T32_forged_images_with_true_checksums_never_show_other_pixels(
    head: tuple[int, ...],
    honest_head: bool,
    rows: bytes,
    changes: list[tuple[int, int]],
    kind: bytes,
    extra: bytes,
    pieces: int,
) -> None:
    pixels = bytearray(filtered(TINY, [4, 3, 2, 1, 0, 4]))
    for at, value in changes:
        pixels[at] = value
    pixels = pixels[: -len(rows)] + rows if len(rows) % 5 == 0 else pixels
    width, height, depth, colour, *rest = head
    first = header(7, 6) if honest_head else header(width, height, depth, colour, *rest[:2], rest[2] % 3)
    before = chunk(kind, extra) if len(extra) % 2 else b""
    agrees_with_pillow(png(TINY, head=first, data=zlib.compress(bytes(pixels)), before=before, pieces=pieces))
