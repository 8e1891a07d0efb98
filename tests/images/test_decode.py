import base64
import io
import re
import struct
import subprocess
import sys
import warnings
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.images import decode as decode_module
from pipeline.images import formats
from pipeline.images.decode import bits, decode, decode_whole, open_picture, sides
from pipeline.images.formats import describe_skipped, list_pictures
from pipeline.runtime.errors import UserError
from tests.clone import ROOT
from tests.tiff import tiff

RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16)


def encoded(format_: str, mode: str = "RGB", **options) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(256, size=(8, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(buffer, format_, **options)
    return buffer.getvalue()


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.stack([grey] * 3, axis=-1)


@pytest.mark.parametrize(
    ("format_", "mode"),
    [
        *[("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "P"), ("PNG", "RGBA"), ("PNG", "1"), ("PNG", "LA")],
        *[("TIFF", "LAB"), ("TIFF", "PA"), ("WEBP", "RGB"), ("AVIF", "RGB"), ("GIF", "P")],
    ],
)
def test_any_mode_becomes_rgb(format_, mode):
    pixels = decode(encoded(format_, mode), "")
    assert pixels.shape == (8, 12, 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_rotated_photo_is_turned_upright(format_):
    exif = Image.Exif()
    exif[0x0112] = 6
    lossless = {"lossless": True} if format_ == "WEBP" else {"quality": 100} if format_ != "TIFF" else {}
    pixels = decode(encoded(format_, exif=exif, **lossless), "")
    as_stored = decode(encoded(format_, **lossless), "")
    assert np.abs(pixels.astype(int) - np.rot90(as_stored, 3)).max() <= 3


@given(st.sampled_from(["JPEG", "PNG", "WEBP", "BMP"]), st.data())
def test_a_damaged_picture_is_read_or_refused_in_one_line(format_, data):
    content = bytearray(encoded(format_))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] ^= 0xFF
    del content[data.draw(st.integers(0, len(content))) :]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            assert decode(bytes(content), "a.jpg").shape[2] == 3
        except UserError as error:
            assert str(error).startswith("a.jpg: unreadable picture")
            assert "\n" not in str(error)


def test_a_decompression_bomb_is_refused():
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    with pytest.raises(UserError, match="bomb"):
        decode(buffer.getvalue(), "bomb.png")


def test_of_sixteen_bits_the_upper_eight_are_kept():
    buffer = io.BytesIO()
    Image.fromarray(RAMP * 257).save(buffer, "PNG")
    assert np.array_equal(decode(buffer.getvalue(), "ramp.png"), rgb(RAMP))
    coloured = np.dstack([RAMP, RAMP[::-1], RAMP.T])
    content = cv2.imencode(".png", coloured[..., ::-1] * 257)[1].tobytes()
    assert np.array_equal(decode(content, "colours.png"), coloured)
    assert np.array_equal(decode(tiff(coloured * 257, 2, ">"), "colours.tif"), coloured)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_grey_tiff_is_as_bright_as_in_a_viewer(order, kind):
    grey = (RAMP * (257 if kind == np.uint16 else 1)).astype(kind)
    assert np.array_equal(decode(tiff(grey, photometric=1, order=order), "a.tif"), rgb(RAMP))
    assert np.array_equal(decode(tiff(grey, photometric=0, order=order), "a.tif"), rgb(255 - RAMP))


def test_a_palette_of_eight_bits_is_not_black():
    palette = (*range(256), *reversed(range(256)), *range(256))
    expected = np.dstack([RAMP, 255 - RAMP, RAMP])
    for values in (palette, [257 * value for value in palette]):
        assert np.array_equal(decode(tiff(RAMP.astype(np.uint8), 3, t320=tuple(values)), "a.tif"), expected)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (tiff(RAMP.astype(np.float32) / 255), "floating-point numbers"),
        (tiff(RAMP.astype(np.uint32)), "32 bits a channel"),
        (tiff(RAMP.astype(np.int16)), "signed integers"),
        (tiff(RAMP.astype(np.int8), 1), "signed integers"),
        (tiff(rgb(RAMP).astype(np.float32), 2), "floating-point numbers"),
        (tiff(RAMP.astype(np.uint8), t258=(12,)), "12 bits a channel"),
        (tiff(np.dstack([RAMP, RAMP]) * 257, t338=(2,)), "channels beside grey"),
        (tiff(rgb(RAMP) * 257, 2, t284=(2,)), "16 bits a channel in planes"),
        (tiff(rgb(RAMP).astype(np.uint8), 6), "YCbCr that is not compressed"),
        (tiff(np.dstack([RAMP] * 4).astype(np.uint8), 5, t332=(2,)), "inks other than CMYK"),
        (tiff(RAMP.astype(np.uint8), 32803), "PhotometricInterpretation 32803"),
        (tiff(RAMP.astype(np.uint8), t259=(34712,)), "compression 34712"),
        (tiff(RAMP.astype(np.uint8), order=">", big=True), "a big-endian BigTIFF"),
        (tiff(RAMP.astype(np.uint8), t254=(1,)), "a preview comes first"),
        (tiff(RAMP.astype(np.uint8), pages=2), "several pictures in one file"),
        (b"II*\0\0\0\0\0", "a TIFF without a picture"),
    ],
)
def test_a_tiff_that_would_come_out_wrong_is_refused_by_name(content, said):
    with pytest.raises(UserError, match=said) as raised:
        decode(content, "a.tif")
    assert str(raised.value).startswith("a.tif: ")
    assert "\n" not in str(raised.value)


def test_a_bigtiff_and_a_tiff_with_a_preview_are_read():
    grey = RAMP.astype(np.uint8)
    assert np.array_equal(decode(tiff(grey, big=True), "a.tif"), rgb(grey))
    full = tiff(grey, pages=2)
    page = full.rindex(struct.pack("<HHI", 262, 3, 1))  # the second page's photometric becomes NewSubfileType, reduced
    preview = full[:page] + struct.pack("<HHIHH", 254, 3, 1, 1, 0) + full[page + 12 :]
    assert np.array_equal(decode(preview, "a.tif"), rgb(grey))


def test_a_file_that_says_it_does_not_use_its_16_bits_is_refused():
    with pytest.raises(UserError, match="16 bits a channel of which it uses values up to 16383 alone"):
        decode(tiff(RAMP * 64, t281=(16383,)), "a.tif")


def test_twelve_bits_in_sixteen_are_refused_for_black():
    with pytest.raises(UserError, match="no value above 4095"):  # of white that is zero, inverted before it was written
        decode(tiff(65535 - RAMP * 16, 0), "a: a.tif")
    coloured = rgb(RAMP * 16)
    png = cv2.imencode(".png", coloured)[1].tobytes()
    for content in (tiff(RAMP * 16), tiff(RAMP * 16, 0, ">"), tiff(coloured, 2), png):
        with pytest.raises(UserError, match="a: 16 bits a channel, but no value above 4095"):
            decode(content, "a")
    assert not decode(tiff(RAMP * 0), "a").any()
    assert decode(tiff(RAMP * 17), "a").max() == 16


def frames(format_: str) -> bytes:
    buffer = io.BytesIO()
    shades = [Image.new("RGB", (8, 8), shade) for shade in ("red", "blue")]
    shades[0].save(buffer, format_, save_all=True, append_images=shades[1:])
    return buffer.getvalue()


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_of_several_pictures_none_is_taken_in_silence(format_):
    with pytest.raises(UserError, match="a: several pictures in one file"):
        decode(frames(format_), "a")


def test_of_a_phones_jpeg_the_first_picture_is_taken():
    assert (decode(frames("MPO"), "a.jpg")[..., 0] > 200).all()


KINDS = {
    "plain": {},
    "other subsampling": {"subsampling": 0, "quality": 95},
    "optimized": {"optimize": True},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 3},
    "progressive with restarts": {"progressive": True, "restart_marker_rows": 1},
}


def photo(mode: str = "RGB", **options) -> bytes:
    """A JPEG of 64 x 48 px with a thumbnail that is a JPEG too."""
    buffer, exif = io.BytesIO(), b"Exif\0\0" + encoded("JPEG")
    pixels = np.random.default_rng(0).integers(256, size=(48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(buffer, "JPEG", exif=exif, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_jpeg_that_is_cut_off_and_filled_up_or_ended_is_not_whole(kind, mode, data):
    content = photo(mode, **KINDS[kind])
    last_scan = content.rindex(b"\xff\xda") + 20
    cut = content[: data.draw(st.integers(last_scan, len(content) - 10))].rstrip(b"\xff")
    for damaged in (cut + b"\xff\xd9", cut.ljust(len(content), b"\0"), cut + b"\xff\xd9\0\0" + content):
        with pytest.raises(UserError, match=r"^a.jpg: unreadable picture \(.*\); replace or remove it$"):
            decode_whole(damaged, "a.jpg")


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("after", [b"", bytes(600), b"\xff\xd9", b"a camera's own data", photo()], ids=len)
def test_a_whole_jpeg_is_read_whatever_follows_it(kind, mode, after):
    content = photo(mode, **KINDS[kind]) + after
    assert np.array_equal(decode_whole(content, ""), decode(content, ""))


@pytest.mark.parametrize("content", [frames("MPO"), *map(encoded, ["PNG", "WEBP", "TIFF", "BMP", "GIF"])], ids=len)
def test_other_whole_pictures_are_read(content):
    assert np.array_equal(decode_whole(content, ""), decode(content, ""))


ARITHMETIC = base64.b64decode(  # cjpeg -arithmetic -quality 30
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWG"
    "kJ6jq62rZ4C8ybqmx5moq6T/yQALCAAIAAgBAREA/8wABgAQEAX/2gAIAQEAAD8ArXgXXWpyHdgbeRABsdkBWyj8xv/Z"
)


def test_an_arithmetic_jpeg_is_whole():
    assert np.array_equal(decode_whole(ARITHMETIC, ""), decode(ARITHMETIC, ""))


def test_a_grey_jpeg_is_whole():
    buffer = io.BytesIO()
    Image.new("RGB", (60, 50), (128, 128, 128)).save(buffer, "JPEG", optimize=True)
    assert (decode_whole(buffer.getvalue(), "") == 128).all()


def test_damaged_exif_is_no_reason_to_refuse_a_picture():
    assert decode(encoded("JPEG", exif=b"Exif\0\0no EXIF at all"), "a.jpg").shape == (8, 12, 3)


def test_what_pillow_warns_of_is_not_printed(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "a camera with a long name"
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG", exif=exif.tobytes()[:-8]))
    program = "import sys; from pipeline.images.decode import decode; decode(open(sys.argv[1], 'rb').read(), '')"
    command = [sys.executable, "-c", program, str(tmp_path / "a.jpg")]
    assert subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stderr == b""


def grey_png(depth: int, values: list[int], transparent: int) -> bytes:
    """One row of a PNG with a few bits."""
    row = int("".join(f"{value:0{depth}b}" for value in values), 2).to_bytes(len(values) * depth // 8)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", len(values), 1, depth, 0, 0, 0, 0)),
        (b"tRNS", struct.pack(">H", transparent)),
        (b"IDAT", zlib.compress(b"\0" + row)),
        (b"IEND", b""),
    ]
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize(("depth", "values"), [(2, [0, 1, 2, 3]), (4, [0, 5, 7, 15])])
def test_the_transparent_grey_of_a_few_bits_is_found(depth, values):
    with open_picture(grey_png(depth, values, values[2]), "a.png") as image:
        shown = decode_module.as_shown(image)
    assert list(np.asarray(shown.getchannel("A"))[0]) == [255, 255, 0, 255]
    assert list(np.asarray(shown.getchannel("L"))[0]) == [value * 255 // (2**depth - 1) for value in values]


def test_heic_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(formats.NEEDS, "HEIF", "needs pillow-heif: pip install pillow-heif")
    box = struct.pack(">I4s4sI", 24, b"ftyp", b"%s", 0)
    for brands in (b"heic" + b"\0" * 4 + b"mif1heic", b"mif1" + b"\0" * 4 + b"mif1heic"):
        with pytest.raises(UserError, match="a.heic: a picture of the format HEIF, which needs pillow-heif"):
            decode(box[:8] + brands, "a.heic")


def test_heic_is_read_where_pillow_heif_is_installed():
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (16, 8), "red")).save(buffer, quality=90)
    pixels = decode(buffer.getvalue(), "a.heic")
    assert pixels.shape == (8, 16, 3)
    assert np.abs(pixels.astype(int) - (255, 0, 0)).max() < 10


def test_an_avif_with_more_than_eight_bits_or_hdr_is_told_apart():
    content = encoded("AVIF")
    nclx = content.index(b"colrnclx") + 10
    for transfer in (16, 18):
        hdr = content[:nclx] + struct.pack(">H", transfer) + content[nclx + 2 :]
        with pytest.raises(UserError, match="a.avif: an HDR picture"):
            decode(hdr, "a.avif")
    flags = content.index(b"av1C") + 6
    deep = content[:flags] + bytes([content[flags] | 0x40]) + content[flags + 1 :]
    with Image.open(io.BytesIO(content)) as image:
        assert bits(image, content) == 8
        assert bits(image, deep) == 10


def test_the_sides_are_read_from_the_header_alone():
    assert sides(encoded("JPEG")[:-50], "a.jpg") == (12, 8)
    with pytest.raises(UserError, match="a.jpg: unreadable picture"):
        sides(b"<html>", "a.jpg")


def test_the_pictures_below_a_folder_are_files_that_are_not_hidden(tmp_path):
    for name in ("b.PNG", "a/c.jpg", "a/notes.txt", ".trash/d.png", ".e.png", "f.gif", "g.avif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.as_posix() for path in list_pictures(tmp_path)] == ["a/c.jpg", "b.PNG", "f.gif", "g.avif"]
    with pytest.raises(UserError, match="no pictures in it"):
        list_pictures(tmp_path / "folder.png")


def test_what_is_passed_over_in_a_folder_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(formats.NEEDS, "HEIF", "needs pillow-heif: pip install pillow-heif")
    (tmp_path / "a.jpg").touch()
    assert describe_skipped(tmp_path) is None
    for name in ("b.HEIC", "c.heic", "d.psd", "README", ".hidden.psd"):
        (tmp_path / name).touch()
    said = "passed over: 1 without a suffix; 2 .heic, which needs pillow-heif: pip install pillow-heif; 1 .psd"
    assert describe_skipped(tmp_path) == said
    assert [path.name for path in list_pictures(tmp_path)] == ["a.jpg"]
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(UserError, match="2 .heic, which needs pillow-heif"):
        list_pictures(tmp_path)


def test_what_is_no_picture_is_told_without_the_address_of_an_object():
    with pytest.raises(UserError) as error:
        decode(b"hello", "a.jpg")
    known = "JPEG, PNG, WEBP, BMP, TIFF, GIF, AVIF"
    assert re.fullmatch(
        rf"a.jpg: unreadable picture \(none of {known}(, HEIF)?\); replace or remove it", str(error.value)
    )
