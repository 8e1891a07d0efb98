import io
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.decode import below, decode, sides
from pipeline.errors import UserError


def encoded(format_: str, mode: str = "RGB", **options) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(256, size=(8, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(buffer, format_, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("format_", "mode"),
    [("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "P"), ("PNG", "RGBA"), ("PNG", "1"), ("TIFF", "F"), ("WEBP", "RGB")],
)
def test_any_mode_becomes_rgb(format_, mode):
    pixels = decode(encoded(format_, mode), "")
    assert pixels.shape == (8, 12, 3)
    assert pixels.dtype == np.uint8


def test_a_rotated_photo_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encoded("JPEG", exif=exif), "").shape == (12, 8, 3)


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
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, "PNG")
    pixels = decode(buffer.getvalue(), "ramp.png")
    assert np.array_equal(pixels, np.stack([ramp >> 8] * 3, axis=-1))


def test_the_sides_are_read_from_the_header_alone():
    assert sides(encoded("JPEG")[:-50], "a.jpg") == (12, 8)
    with pytest.raises(UserError, match="a.jpg: unreadable picture"):
        sides(b"<html>", "a.jpg")


def test_the_pictures_below_a_folder_are_files_that_are_not_hidden(tmp_path):
    for name in ("b.PNG", "a/c.jpg", "a/notes.txt", ".trash/d.png", ".e.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.as_posix() for path in below(tmp_path)] == ["a/c.jpg", "b.PNG"]
    with pytest.raises(UserError, match="no pictures in it"):
        below(tmp_path / "folder.png")


def test_what_is_no_picture_is_told_without_the_address_of_an_object():
    with pytest.raises(UserError) as error:
        decode(b"GIF89a", "a.jpg")
    assert str(error.value) == ("a.jpg: unreadable picture (none of JPEG, PNG, WEBP, BMP, TIFF); replace or remove it")
