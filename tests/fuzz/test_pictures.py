"""Picture files of all kinds, turned, described and damaged: each is read as it is or refused in one line."""

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from pipeline.images.decode import decode
from pipeline.inference import image_file, masks
from pipeline.runtime.errors import UserError
from tests.fuzz import COUNTS, inputs
from tests.tiff import tiff

MODES = {
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "JPEG": ["L", "RGB", "CMYK"],
    "TIFF": ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16", "LAB"],
    "WEBP": ["L", "RGB", "RGBA"],
    "BMP": ["1", "L", "P", "RGB", "RGBA"],
    "GIF": ["1", "L", "P", "RGB", "RGBA"],
    "AVIF": ["L", "RGB", "RGBA"],
}
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ALTERED = {("CMYK", ".png"), ("CMYK", ".webp"), ("CMYK", ".bmp")}  # CMYK becomes RGB
WRITTEN = [".png", ".tif", ".webp", ".bmp", ".jpg"]
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def drawn(mode: str, height: int, width: int, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(rng.integers(2**16, size=(height, width), dtype=np.uint16) | 0x8000)
    image = Image.fromarray(rng.integers(256, size=(height, width, 3), dtype=np.uint8)).convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.fromarray(rng.integers(256, size=(height, width), dtype=np.uint8)))
    return image


VALUES = st.binary(max_size=9) | st.builds(TiffImagePlugin.IFDRational, st.integers(0, 999), st.integers(1, 999))


@st.composite
def exif_blocks(draw: st.DrawFn, odd: bool) -> bytes:
    """EXIF; an odd one is damaged, or speaks of how pixels lie, which in a TIFF would make it another file."""
    exif = Image.Exif()
    exif[0x0112] = draw(st.integers(0, 9))
    for tag in draw(st.lists(st.sampled_from([0x010E, 0x010F, 0x013B, 0x0131]), unique=True)):
        exif[tag] = draw(TEXTS)
    for tag in draw(st.lists(st.integers(0x9000, 0xA500), max_size=3)):
        exif.get_ifd(0x8769)[tag] = draw(VALUES)
    for tag in draw(st.lists(st.sampled_from([256, 259, 262, 273, 277, 292, 317, 320, 339, 530]), max_size=3 * odd)):
        exif[tag] = draw(st.integers(0, 2**16 - 1))
    block = bytearray(exif.tobytes())
    for place in draw(st.lists(st.integers(0, len(block) - 1), max_size=2 * odd)):
        block[place] = draw(st.integers(0, 255))
    return bytes(block)


@st.composite
def described(draw: st.DrawFn, format_: str) -> dict:
    """Pillow's arguments for saving, of what a file can say."""
    options = {
        "exif": exif_blocks(format_ != "TIFF"),
        "dpi": st.tuples(st.floats(0, 70_000), st.floats(0, 70_000)),
        "icc_profile": st.sampled_from([b"odd", PROFILE, PROFILE[:16] + b"CMYK" + PROFILE[20:]]),
        "xmp": st.binary(max_size=40) | st.just(b'<x tiff:Orientation="6"/>'),
        "comment": st.binary(max_size=40),
    }
    if format_ == "JPEG":
        segment = st.builds(lambda data: b"\xff\xed" + struct.pack(">H", len(data) + 2) + data, st.binary(max_size=30))
        options["extra"] = segment | segment.map(lambda data: data[:4] + b"Photoshop 3.0\0" + data[4:])
    if format_ == "TIFF":
        options |= {"compression": st.sampled_from(["tiff_lzw", "tiff_adobe_deflate"]), "big_tiff": st.booleans()}
    chosen = draw(st.sets(st.sampled_from(sorted(options))))
    if "compression" in chosen:
        chosen = {"compression"}  # Pillow hands the other tags to libtiff, which takes some for pointers
    return {name: draw(options[name]) for name in sorted(chosen)}


@st.composite
def files(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """A format, a mode and a whole file."""
    format_ = draw(st.sampled_from(sorted(MODES)))
    mode = draw(st.sampled_from(MODES[format_]))
    image = drawn(mode, draw(st.integers(1, 24)), draw(st.integers(1, 24)), draw(st.integers(0, 99)))
    options = draw(described(format_))
    if format_ == "PNG":
        info = PngImagePlugin.PngInfo()
        for kind in draw(st.sets(st.sampled_from([b"gAMA", b"cHRM", b"sRGB", b"cICP", b"sBIT", b"tEXt", b"iTXt"]))):
            info.add(kind, draw(st.binary(min_size=32, max_size=32)))
        options["pnginfo"] = info
    buffer = io.BytesIO()
    try:
        image.save(buffer, format_, **options)
    except Exception:  # what Pillow does not write with these arguments, it writes without
        buffer = io.BytesIO()
        image.save(buffer, format_)
    return format_, mode, buffer.getvalue()


def read(path: Path) -> image_file.Picture | None:
    """As `mend` reads it; None where it is refused, in one line that names the file."""
    try:
        return image_file.read(path)
    except UserError as error:
        assert str(error).startswith(f"{path}: ")
        assert "\n" not in str(error)
        return None


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of damaged metadata
        yield


@pytest.mark.parametrize("count", COUNTS)
def test_whole_pictures_come_out_as_they_went_in(count, tmp_path, capfd):
    @inputs(count)
    @given(files(), st.sampled_from(WRITTEN))
    def check(file: tuple[str, str, bytes], suffix: str) -> None:
        content = file[2]
        capfd.readouterr()  # what libtiff said as the test wrote the file
        (tmp_path / "a").write_bytes(content)
        before = image_file.read(tmp_path / "a")
        assert np.array_equal(decode(content, "a"), before.pixels_in_8_bits())
        with Image.open(io.BytesIO(content)) as image:  # as Pillow's own users would see it
            image.load()
            reference = np.asarray(before.upright(image.convert("RGB") if before.stored.mode != "I;16" else image))
        assert np.array_equal(before.pixels()[..., 0], reference.reshape(*reference.shape[:2], -1)[..., 0])
        after = tmp_path / f"b{suffix}"
        try:
            image_file.write(before, after)
        except UserError as error:
            assert "cannot hold" in str(error)
            return
        line = image_file.describe_lost(before, after)
        assert line is None or line.isprintable()
        written = image_file.read(after)
        stored = before.stored.convert("RGB") if (before.stored.mode, suffix) in ALTERED else before.stored
        if suffix != ".jpg":
            expected = before.upright(stored).convert(before.upright(written.stored).mode)
            assert np.array_equal(np.asarray(written.upright(written.stored)), np.asarray(expected))
        assert written.size == before.size
        if suffix == ".png":
            assert written.metadata.xmp == before.metadata.xmp
        after.unlink()
        assert capfd.readouterr().err == ""

    check()


@pytest.mark.parametrize("count", COUNTS)
def test_damaged_pictures_end_right_or_in_one_line(count, tmp_path):
    @inputs(count)
    @given(files(), st.sampled_from(WRITTEN), st.data())
    def check(file: tuple[str, str, bytes], suffix: str, data: st.DataObject) -> None:
        content = bytearray(file[2])
        for place in data.draw(st.lists(st.integers(0, min(len(content), 400) - 1), max_size=4)):
            content[place] = data.draw(st.integers(0, 255))
        del content[data.draw(st.integers(len(content) // 2, len(content))) :]
        (tmp_path / "a").write_bytes(content)
        before = read(tmp_path / "a")
        if before is None:
            return
        assert np.array_equal(decode(bytes(content), "a"), before.pixels_in_8_bits())
        line = image_file.describe_lost(before, Path(f"b{suffix}"))
        assert line is None or line.isprintable()
        try:
            image_file.write(before, tmp_path / f"b{suffix}")
        except UserError as error:
            assert "\n" not in str(error)
        assert {path.name for path in tmp_path.iterdir()} <= {"a", *(f"b{suffix}" for suffix in WRITTEN)}

    check()


KINDS = [np.uint8, np.uint16, np.uint32, np.int8, np.int16, np.int32, np.float16, np.float32, np.float64]


@pytest.mark.parametrize("count", COUNTS)
def test_tiffs_of_any_numbers_are_as_bright_as_they_are_or_refused(count):
    @inputs(count)
    @given(
        st.sampled_from(KINDS),
        st.integers(0, 9),
        st.integers(1, 5),
        st.sampled_from("<>"),
        st.booleans(),
        st.sampled_from([(), (0,), (1,), (2,)]),
        st.integers(0, 99),
    )
    def check(kind: type, photometric: int, channels: int, order: str, big: bool, extra: tuple, seed: int) -> None:
        shades = np.random.default_rng(seed).integers(128, 256, size=(6, 5, channels))
        pixels = shades * 257 if np.dtype(kind).itemsize == 2 else shades
        pixels = (pixels[..., 0] if channels == 1 else pixels).astype(kind)
        tags = {"t338": extra} if extra else {}
        try:
            shown = decode(tiff(pixels, photometric, order, big, **tags), "a.tif")
        except UserError as error:
            assert str(error).startswith("a.tif: ")
            assert "\n" not in str(error)
            return
        assert kind in {np.uint8, np.uint16}
        if photometric <= 1:
            grey = shades[..., 0] if photometric else 255 - shades[..., 0]
            assert np.array_equal(shown, np.stack([grey] * 3, axis=-1))
        elif photometric == 2 and extra != (1,):
            assert np.array_equal(shown, shades[..., :3])

    check()


@pytest.mark.parametrize("count", COUNTS)
def test_masks_as_files_are_read_or_refused_in_one_line(count, tmp_path):
    photo = image_file.Picture(Image.new("RGB", (9, 7)))

    @inputs(count)
    @given(
        st.sampled_from([".png", ".tif", ".bmp", ".gif", ".webp", ".avif"]),
        st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "I"]),
        st.integers(0, 2**63 - 1),
        st.integers(1, 3),
    )
    def check(suffix: str, mode: str, bits: int, scale: int) -> None:
        hole = np.array([bits >> place & 1 for place in range(63)], bool).reshape(7, 9)
        image = Image.fromarray(hole.repeat(scale, 0).repeat(scale, 1)).convert("L")
        deep = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
        image = deep if mode == "I;16" else image.convert(mode)
        try:
            image.save(tmp_path / f"mask{suffix}", **({"lossless": True} if suffix == ".webp" else {}))
        except (OSError, TypeError, ValueError):  # a mode that the format does not have
            return
        try:
            read = masks.read(tmp_path / f"mask{suffix}", photo)
        except UserError as error:
            assert str(error).startswith(f"{tmp_path / f'mask{suffix}'}: ")
            assert mode in {"F", "I"}
            return
        assert np.array_equal(read, hole) or suffix == ".avif"

    check()
