import io
import itertools
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, IptcImagePlugin, PngImagePlugin, TiffImagePlugin

from pipeline.inference import image_file
from pipeline.runtime.errors import UserError
from tests.tiff import tiff

LOSSLESS = [("png", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")] + [
    ("tif", mode) for mode in ("L", "RGB", "RGBA", "CMYK", "I;16")
]
LOSSLESS += [("webp", "RGB"), ("webp", "RGBA"), ("bmp", "L"), ("bmp", "RGB")]


def drawn(mode: str, height: int = 21, width: int = 34, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(rng.integers(2**16, size=(height, width), dtype=np.uint16))
    if mode == "RGBA":
        return Image.fromarray(rng.integers(256, size=(height, width, 4), dtype=np.uint8))
    image = Image.fromarray(rng.integers(256, size=(height, width, 3), dtype=np.uint8))
    return image.convert(mode)


def colours(path) -> np.ndarray:
    """All channels of a file, upright; of a palette or a bit, its colours."""
    with path.open("rb") as file, Image.open(file) as image:  # by its name, Pillow turns some TIFFs twice
        upright = ImageOps.exif_transpose(image)
        return np.array(upright.convert({"P": "RGB", "1": "L"}.get(upright.mode, upright.mode)))


def half_hole(size: tuple[int, int]) -> np.ndarray:
    hole = np.zeros(size[::-1], bool)
    hole[: size[1] // 2] = True
    return hole


@pytest.mark.parametrize(("suffix", "mode"), LOSSLESS)
@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_what_is_outside_the_hole_comes_out_bit_for_bit(suffix, mode, orientation, tmp_path):
    before, after = tmp_path / f"before.{suffix}", tmp_path / f"after.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    drawn(mode).save(
        before, **({"exif": exif} if suffix != "bmp" else {}), **({"lossless": True} if suffix == "webp" else {})
    )
    opened = image_file.read(before)
    hole = half_hole(opened.size)
    restored = np.where(hole[..., None], 77, opened.pixels()).astype(opened.pixels().dtype)
    image_file.write(opened.with_restored(restored, hole), after)
    first, second = colours(before), colours(after)
    assert np.array_equal(second[~hole], first[~hole])
    inside = image_file.read(after).pixels()[hole].astype(int)
    assert np.abs(inside - 77).max() <= (2 if mode == "CMYK" else 0)
    with Image.open(after) as image:
        assert image.mode == {"1": "L", "P": "RGB"}.get(mode, mode)
        if suffix in {"png", "webp"}:  # Pillow turns a TIFF upright as it reads it
            assert image.size == drawn(mode).size
            assert image.getexif().get(0x0112, 1) == orientation


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 8))
def test_any_orientation_turns_back_as_it_came(tmp_path_factory, height, width, orientation):
    folder = tmp_path_factory.mktemp("pictures")
    exif = Image.Exif()
    exif[0x0112] = orientation
    drawn("RGB", height, width).save(folder / "a.png", exif=exif)
    opened = image_file.read(folder / "a.png")
    assert np.array_equal(opened.pixels(), colours(folder / "a.png"))
    everything = np.ones(opened.size[::-1], bool)
    assert opened.with_restored(opened.pixels(), everything).stored.tobytes() == opened.stored.tobytes()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_exif_profile_and_resolution_stay(suffix, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif.get_ifd(0x8825)[1] = "N"
    drawn("RGB").save(tmp_path / f"a.{suffix}", exif=exif, icc_profile=profile, dpi=(300, 300))
    opened = image_file.read(tmp_path / f"a.{suffix}")
    image_file.write(opened, tmp_path / f"b.{suffix}")
    with Image.open(tmp_path / f"a.{suffix}") as before, Image.open(tmp_path / f"b.{suffix}") as after:
        assert after.info["icc_profile"] == profile
        assert after.getexif()[0x010F] == "Camera"
        assert after.getexif().get_ifd(0x8825) == before.getexif().get_ifd(0x8825)
        assert after.info.get("dpi") == before.info.get("dpi")


def test_a_jpeg_keeps_its_quality(tmp_path):
    smooth = np.mgrid[:64, :80][0].astype(np.uint8)
    Image.fromarray(np.stack([smooth] * 3, -1)).save(tmp_path / "a.jpg", quality=60, subsampling=1)
    image_file.write(image_file.read(tmp_path / "a.jpg"), tmp_path / "b.jpg")
    with Image.open(tmp_path / "a.jpg") as before, Image.open(tmp_path / "b.jpg") as after:
        assert after.quantization == before.quantization
        assert np.abs(np.asarray(after, int) - np.asarray(before, int)).max() <= 2


def test_alpha_becomes_full_where_a_transparent_hole_is_restored(tmp_path):
    image = drawn("RGBA")
    image.putalpha(Image.fromarray(np.where(half_hole(image.size), 0, 120).astype(np.uint8)))
    image.save(tmp_path / "a.png")
    opened = image_file.read(tmp_path / "a.png")
    hole = opened.transparent()
    assert np.array_equal(hole, half_hole(image.size))
    alpha = np.asarray(opened.with_restored(opened.pixels(), hole, opaque=True).stored.getchannel("A"))
    assert set(alpha[hole]) == {255}
    assert set(alpha[~hole]) == {120}


def test_exif_of_a_jpeg_that_names_its_sides_does_not_spoil_a_tiff(tmp_path):
    exif = Image.Exif()
    exif[0x0100], exif[0x0101], exif[0x0103] = 4000, 3000, 7
    drawn("RGB").save(tmp_path / "a.jpg", exif=exif)
    opened = image_file.read(tmp_path / "a.jpg")
    image_file.write(opened, tmp_path / "b.tif")
    assert np.array_equal(image_file.read(tmp_path / "b.tif").pixels(), opened.pixels())


def test_transparency_by_colour_is_kept(tmp_path):
    drawn("1").save(tmp_path / "bit.png", transparency=0)
    opened = image_file.read(tmp_path / "bit.png")
    assert np.array_equal(opened.transparent(), opened.pixels()[..., 0] == 0)
    drawn("I;16").save(tmp_path / "deep.png", transparency=5)
    image_file.write(image_file.read(tmp_path / "deep.png"), tmp_path / "again.png")
    assert Image.open(tmp_path / "again.png").info["transparency"] == 5


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
IPTC = b"\x1c\x02\x05\0\5Title"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def resource(number: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + b"\0" * (len(data) % 2)


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">HH", marker, len(data) + 2) + data


def photo(path) -> None:
    """A JPEG that says all that a JPEG can."""
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif.get_ifd(0x8769)[0x829A] = 0.004
    exif.get_ifd(0x8769)[0xA432] = tuple(TiffImagePlugin.IFDRational(*value) for value in ((24, 1), (70, 1), (0, 0)))
    exif.get_ifd(0x8825)[1] = "N"
    photoshop = segment(0xFFED, b"Photoshop 3.0\0" + resource(0x0404, IPTC) + resource(0x040C, b"a thumbnail"))
    drawn("RGB").save(
        path,
        exif=exif.tobytes().replace(b"Camera", b"C\xc3\xa4mar"),
        icc_profile=PROFILE,
        xmp=XMP,
        comment="a comment",
        dpi=(300, 300),
        extra=photoshop,
    )


def said(path) -> dict:
    """What a file says, found without our code."""
    with path.open("rb") as file, Image.open(file) as image:
        image.load()
        exif = image.getexif()
        found = {
            "Make": exif.get(0x010F),
            "exposure": exif.get_ifd(0x8769).get(0x829A),
            "GPS": dict(exif.get_ifd(0x8825)),
            "profile": image.info.get("icc_profile"),
            "XMP": image.info.get("xmp"),
            "dpi": [round(value) for value in image.info.get("dpi", ())] == [300, 300],  # Pillow makes up 72 and 96
            "IPTC": IptcImagePlugin.getiptcinfo(image) if image.format in {"JPEG", "TIFF"} else None,
            "comment": image.info.get("comment", image.info.get("Comment")),
        }
        return {name: value for name, value in found.items() if value}


HELD = {
    "jpg": {"Make", "exposure", "GPS", "profile", "XMP", "dpi", "IPTC", "comment"},
    "png": {"Make", "exposure", "GPS", "profile", "XMP", "dpi", "comment"},
    "tif": {"Make", "exposure", "GPS", "profile", "XMP", "dpi", "IPTC"},
    "webp": {"Make", "exposure", "GPS", "profile", "XMP"},
    "bmp": {"dpi"},
}
NAMES = {"Make": "EXIF", "profile": "the ICC profile", "XMP": "XMP", "dpi": "the resolution", "IPTC": "IPTC"}


@pytest.mark.parametrize("through", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("suffix", HELD)
def test_what_a_file_says_is_kept_or_its_loss_is_said(through, suffix, tmp_path):
    photo(tmp_path / "a.jpg")
    image_file.write(image_file.read(tmp_path / "a.jpg"), tmp_path / f"b.{through}")
    before = image_file.read(tmp_path / f"b.{through}")
    image_file.write(before, tmp_path / f"c.{suffix}")
    first, last = said(tmp_path / f"b.{through}"), said(tmp_path / f"c.{suffix}")
    assert set(first) == HELD[through]
    expected = HELD[through] & HELD[suffix] - ({"comment"} if through != suffix and through == "png" else set())
    assert set(last) == expected
    for name in expected - {"comment"}:
        assert last[name] == first[name]
    assert "ä".encode() in (tmp_path / f"c.{suffix}").read_bytes() or suffix == "bmp"
    line = image_file.describe_lost(before, tmp_path / f"c.{suffix}") or "not kept: "
    lost = {NAMES[name] for name in HELD[through] - expected if name in NAMES}
    assert lost == {name for name in NAMES.values() if name in line.split(": ")[1].split(", ")}
    assert "comment" in line.lower() or not {"comment"} & HELD[through] - expected


def whole_numbers(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 2, 3, 4, 7])
def test_what_a_tiff_says_is_kept_whatever_the_type_it_is_written_in(kind, order, tmp_path):
    """BYTE, ASCII, SHORT, LONG and UNDEFINED: many programs write IPTC as LONG."""
    raw = {700: (kind, whole_numbers(XMP)), 33723: (kind, whole_numbers(IPTC)), 34675: (kind, whole_numbers(PROFILE))}
    (tmp_path / "a.tif").write_bytes(tiff(np.asarray(drawn("RGB")), 2, order, raw=raw))
    opened = image_file.read(tmp_path / "a.tif")
    assert opened.metadata.gone == ()
    for suffix in ("tif", "jpg"):
        image_file.write(opened, tmp_path / f"b.{suffix}")
        assert image_file.describe_lost(opened, tmp_path / f"b.{suffix}") is None
        kept = said(tmp_path / f"b.{suffix}")
        assert kept["IPTC"] == {(2, 5): b"Title"}
        assert (kept["XMP"], kept["profile"].rstrip(b"\0")) == (XMP, PROFILE.rstrip(b"\0"))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 2, 3, 4, 7, 11])
def test_damaged_metadata_of_a_tiff_is_named_and_refuses_no_picture(kind, order, tmp_path, recwarn):
    """Of one value, which Pillow hands over as a number or a text, and of several."""
    for data in (b"\0\0\0\x20", b"\xff\xfe\xfd\xfc" * 3):
        raw = {tag: (kind, data) for tag in (33723, 34377, 34675)}
        (tmp_path / "a.tif").write_bytes(tiff(np.asarray(drawn("RGB")), 2, order, raw={700: (kind, XMP[:12]), **raw}))
        opened = image_file.read(tmp_path / "a.tif")
        assert np.array_equal(opened.pixels(), np.asarray(drawn("RGB")))
        assert sorted(opened.metadata.gone) == ["damaged ICC profile", "damaged IPTC"]
        for suffix in ("tif", "png"):
            image_file.write(opened, tmp_path / f"b.{suffix}")
            assert np.array_equal(colours(tmp_path / f"b.{suffix}"), np.asarray(drawn("RGB")))
            assert (tmp_path / f"b.{suffix}").stat().st_size < 10_000


def test_no_thumbnail_shows_the_picture_as_it_was(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    block = exif.tobytes()
    following = block.index(b"Camera") - 4  # where the directory's end points to the next one
    assert block[following : following + 4] == b"\0" * 4
    directory = struct.pack(">HHHIIHHIII", 2, 0x0201, 4, 1, len(block) + 24, 0x0202, 4, 1, 11, 0)
    thumbnail = block[:following] + struct.pack(">I", len(block) - 6) + block[following + 4 :] + directory
    photoshop = segment(0xFFED, b"Photoshop 3.0\0" + resource(0x0404, IPTC) + resource(0x040C, b"a thumbnail"))
    drawn("RGB").save(tmp_path / "a.jpg", exif=thumbnail + b"a thumbnail", extra=photoshop)
    for suffix in ("jpg", "tif", "png"):
        image_file.write(image_file.read(tmp_path / "a.jpg"), tmp_path / f"b.{suffix}")
        assert b"a thumbnail" not in (tmp_path / f"b.{suffix}").read_bytes()
        assert said(tmp_path / f"b.{suffix}")["Make"] == "Camera"


PNG_CHUNKS = {
    b"gAMA": struct.pack(">I", 100_000),
    b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    b"cICP": bytes([9, 16, 0, 1]),
    b"sBIT": bytes([5, 6, 5]),
    b"bKGD": bytes(6),
    b"tIME": struct.pack(">HBBBBB", 2020, 1, 2, 3, 4, 5),
    b"tEXt": b"Author\0me",
    b"zTXt": b"Title\0\0" + zlib.compress(b"of it"),
    b"iTXt": b"Description\0\0\0de\0\0" + "grün".encode(),
    b"prVt": b"a private one that may be copied",
    b"prVT": b"a private one that may not",
}


def chunks(path) -> dict[bytes, bytes]:
    content, place, found = path.read_bytes(), 8, {}
    while place < len(content):
        (length,), kind = struct.unpack(">I", content[place : place + 4]), content[place + 4 : place + 8]
        found[kind] = content[place + 8 : place + 8 + length]
        place += length + 12
    return found


def png_with(path, image: Image.Image, chunks: dict[bytes, bytes]) -> None:
    info = PngImagePlugin.PngInfo()
    for kind, data in chunks.items():
        info.add(kind, data)
    image.save(path, pnginfo=info)


def test_what_a_png_says_of_its_colours_and_in_words_stays(tmp_path):
    png_with(tmp_path / "a.png", drawn("RGB"), PNG_CHUNKS)
    assert set(PNG_CHUNKS) <= set(chunks(tmp_path / "a.png"))
    opened = image_file.read(tmp_path / "a.png")
    image_file.write(opened, tmp_path / "b.png")
    kept = {kind: data for kind, data in chunks(tmp_path / "b.png").items() if kind in PNG_CHUNKS}
    assert kept == {kind: data for kind, data in PNG_CHUNKS.items() if kind != b"prVT"}
    assert image_file.describe_lost(opened, tmp_path / "b.png") == "not kept: prVT"
    line = "not kept: prVT, gAMA, cHRM, cICP, sBIT, bKGD, tIME, prVt, text (Author, Title, Description)"
    assert sorted(image_file.describe_lost(opened, tmp_path / "b.tif").split()) == sorted(line.split())


def test_what_a_png_says_of_a_palette_does_not_go_to_colours(tmp_path):
    png_with(tmp_path / "a.png", drawn("P"), {b"bKGD": b"\0", b"gAMA": PNG_CHUNKS[b"gAMA"]})
    opened = image_file.read(tmp_path / "a.png")
    image_file.write(opened, tmp_path / "b.png")
    assert b"bKGD" not in chunks(tmp_path / "b.png")
    assert chunks(tmp_path / "b.png")[b"gAMA"] == PNG_CHUNKS[b"gAMA"]
    assert image_file.describe_lost(opened, tmp_path / "b.png") == "not kept: bKGD"


def test_what_says_no_more_than_srgb_is_not_missed(tmp_path):
    png_with(tmp_path / "a.png", drawn("RGB"), {b"sRGB": b"\0", b"gAMA": struct.pack(">I", 45455)})
    assert image_file.describe_lost(image_file.read(tmp_path / "a.png"), tmp_path / "b.tif") is None


@pytest.mark.parametrize("compression", ["jpeg", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_tif_is_written_without_loss_whatever_it_was(compression, mode, tmp_path):
    drawn(mode).save(tmp_path / "a.tif", compression=compression)
    opened = image_file.read(tmp_path / "a.tif")
    image_file.write(opened, tmp_path / "b.tif")
    assert np.array_equal(colours(tmp_path / "b.tif"), colours(tmp_path / "a.tif"))
    with Image.open(tmp_path / "b.tif") as image:
        assert image.info["compression"] == "raw"
        assert not {292, 293, 317, 347, 530} & set(image.tag_v2)


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_a_scan_coded_as_a_fax_can_be_written(compression, tmp_path, capfd):
    drawn("1").save(tmp_path / "a.tif", compression=compression, tiffinfo={292: 1} if compression == "group3" else {})
    for suffix in ("tif", "png", "jpg"):
        image_file.write(image_file.read(tmp_path / "a.tif"), tmp_path / f"b.{suffix}")
    assert np.array_equal(colours(tmp_path / "b.tif"), colours(tmp_path / "a.tif"))
    assert np.array_equal(colours(tmp_path / "b.png"), colours(tmp_path / "a.tif"))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("order", ["<", ">"])
def test_grey_of_16_bits_where_white_is_zero_is_no_negative(order, tmp_path):
    grey = np.arange(4096, 4096 + 600 * 64, 64, dtype=np.uint16).reshape(20, 30)
    (tmp_path / "a.tif").write_bytes(tiff(grey, photometric=0, order=order))
    opened = image_file.read(tmp_path / "a.tif")
    assert np.array_equal(opened.pixels()[..., 0], 65535 - grey)
    for suffix in ("tif", "png"):
        image_file.write(opened, tmp_path / f"b.{suffix}")
        assert np.array_equal(np.asarray(Image.open(tmp_path / f"b.{suffix}")), 65535 - grey)


def test_a_bigtiff_is_read_and_written_as_any_other(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif.get_ifd(0x8769)[0x829A] = 0.004
    drawn("RGB").save(tmp_path / "a.tif", big_tiff=True, exif=exif.tobytes(), dpi=(300, 300))
    for suffix in ("tif", "png", "jpg", "webp"):
        image_file.write(image_file.read(tmp_path / "a.tif"), tmp_path / f"b.{suffix}")
        assert said(tmp_path / f"b.{suffix}")["Make"] == "Camera"
    assert np.array_equal(colours(tmp_path / "b.tif"), colours(tmp_path / "a.tif"))


def profile(space: bytes) -> bytes:
    return PROFILE[:16] + space + PROFILE[20:]


@pytest.mark.parametrize(
    ("mode", "space", "suffix", "fits"),
    [
        *[("RGB", b"RGB ", suffix, True) for suffix in ("png", "jpg", "tif", "webp")],
        ("L", b"GRAY", "png", True),
        ("L", b"GRAY", "webp", False),
        ("L", b"RGB ", "png", False),
        ("RGB", b"GRAY", "jpg", False),
        ("CMYK", b"CMYK", "tif", True),
        ("CMYK", b"CMYK", "jpg", True),
        ("CMYK", b"CMYK", "png", False),
        ("CMYK", b"CMYK", "webp", False),
        ("RGB", b"Lab ", "png", False),
    ],
)
def test_an_icc_profile_is_written_where_it_fits_the_colours(mode, space, suffix, fits, tmp_path):
    drawn(mode).save(tmp_path / "a.tif", icc_profile=profile(space))
    opened = image_file.read(tmp_path / "a.tif")
    image_file.write(opened, tmp_path / f"b.{suffix}")
    assert (said(tmp_path / f"b.{suffix}").get("profile") == profile(space)) is fits
    assert ("the ICC profile" in (image_file.describe_lost(opened, tmp_path / f"b.{suffix}") or "")) is not fits


def test_a_resolution_is_neither_made_up_nor_changed_with_its_unit(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    drawn("RGB").save(tmp_path / "a.jpg", exif=exif)
    drawn("RGB").save(tmp_path / "a.tif")
    for name in ("a.jpg", "a.tif"):
        for suffix in ("jpg", "png", "tif"):
            image_file.write(image_file.read(tmp_path / name), tmp_path / f"b.{suffix}")
            assert image_file.read(tmp_path / f"b.{suffix}").metadata.dpi is None
    drawn("RGB").save(tmp_path / "cm.tif", resolution_unit=3, x_resolution=118.11, y_resolution=118.11)
    for suffix in ("jpg", "png", "tif", "bmp"):
        image_file.write(image_file.read(tmp_path / "cm.tif"), tmp_path / f"b.{suffix}")
        assert said(tmp_path / f"b.{suffix}")["dpi"]


@pytest.mark.parametrize("through", ["png", "webp", "avif", "jpg"])
@pytest.mark.parametrize("resolution", [300.0, 0.5])
def test_a_resolution_that_exif_alone_says_is_kept_or_its_loss_is_said(through, resolution, tmp_path):
    exif = Image.Exif()
    exif[0x011A] = exif[0x011B] = resolution
    exif[0x0128] = 2
    drawn("RGB").save(tmp_path / f"a.{through}", exif=exif)
    opened = image_file.read(tmp_path / f"a.{through}")
    for suffix in ("webp", "png", "tif", "jpg"):
        image_file.write(opened, tmp_path / f"b.{suffix}")
        assert Image.open(tmp_path / f"b.{suffix}").getexif()[0x011A] == resolution
        assert image_file.describe_lost(opened, tmp_path / f"b.{suffix}") is None
    image_file.write(opened, tmp_path / "b.bmp")
    assert "EXIF" in image_file.describe_lost(opened, tmp_path / "b.bmp")


def png_with_resolution(path, *density: int) -> None:
    """Across, down, and their unit."""
    drawn("RGB").save(path)
    content, chunk = path.read_bytes(), b"pHYs" + struct.pack(">IIB", *density)
    whole = struct.pack(">I", 9) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(content[:33] + whole + content[33:])  # behind the signature and IHDR


def test_a_resolution_that_cannot_be_written_is_said(tmp_path):
    for name, density in {"tiny": (1, 1, 1), "huge": (2**31, 2**31, 1), "unit": (11811, 11811, 7)}.items():
        png_with_resolution(tmp_path / f"{name}.png", *density)
    pixels = np.asarray(drawn("RGB"))
    nothing = {282: (5, struct.pack("<II", 300, 1)), 283: (5, bytes(8)), 296: (3, b"\2\0")}
    (tmp_path / "nan.tif").write_bytes(tiff(pixels, 2, raw=nothing))
    for name in ("tiny.png", "huge.png", "unit.png", "nan.tif"):
        opened = image_file.read(tmp_path / name)
        for suffix in ("tif", "png", "jpg", "webp", "bmp"):
            image_file.write(opened, tmp_path / f"b.{suffix}")
            assert image_file.describe_lost(opened, tmp_path / f"b.{suffix}") == "not kept: damaged resolution", (
                name,
                suffix,
            )
    drawn("RGB").save(tmp_path / "none.bmp", dpi=(0, 0))
    assert image_file.describe_lost(image_file.read(tmp_path / "none.bmp"), tmp_path / "b.png") is None


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_pixels_that_are_no_squares_are_said(suffix, tmp_path):
    """Each with a density of 1 by 2 in no unit, as its format says that."""
    path = tmp_path / f"a.{suffix}"
    if suffix == "tif":
        drawn("RGB").save(path, resolution_unit=1, x_resolution=2, y_resolution=1)
    elif suffix == "png":
        png_with_resolution(path, 2, 1, 0)
    else:
        drawn("RGB").save(path)
        content = bytearray(path.read_bytes())
        content[13:18] = struct.pack(">BHH", 0, 2, 1)
        path.write_bytes(content)
    opened = image_file.read(path)
    for other in ("jpg", "png", "tif", "webp"):
        assert "shape of a pixel" in (image_file.describe_lost(opened, Path(f"b.{other}")) or "")


@pytest.mark.parametrize("format_", ["GIF", "AVIF"])
def test_what_is_read_and_not_written_can_be_restored_into_another_format(format_, tmp_path):
    path = tmp_path / f"a.{format_.lower()}"
    drawn("RGB").save(path, format_, **({"comment": b"a comment"} if format_ == "GIF" else {}))
    image_file.write(image_file.read(path), tmp_path / "b.png")
    assert np.array_equal(image_file.read(tmp_path / "b.png").pixels(), np.asarray(Image.open(path).convert("RGB")))
    assert (chunks(tmp_path / "b.png").get(b"tEXt") == b"Comment\0a comment") is (format_ == "GIF")
    with pytest.raises(UserError, match="no such format; expected .jpg"):
        image_file.write(image_file.read(path), tmp_path / path.name)


def test_what_no_format_keeps_is_named(tmp_path):
    layers = np.dstack([np.asarray(drawn("RGB")), np.asarray(drawn("L"))])
    (tmp_path / "spot.tif").write_bytes(tiff(layers, 2, t338=(0,)))
    (tmp_path / "multiplied.tif").write_bytes(tiff(layers, 2, t338=(1,)))
    (tmp_path / "lab.tif").write_bytes(tiff(layers[..., :3], 8))
    drawn("RGB").save(tmp_path / "xmp.jpg", extra=segment(0xFFE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40)))
    drawn("RGB").save(tmp_path / "c2pa.jpg", extra=segment(0xFFEB, b"JP\0\1"))
    drawn("RGB").save(tmp_path / "exif.jpg", exif=b"Exif\0\0damaged")
    drawn("RGB").save(tmp_path / "profile.jpg", icc_profile=bytes(128))
    drawn("RGB").save(tmp_path / "iptc.jpg", extra=segment(0xFFED, b"Photoshop 3.0\0" + resource(0x0404, IPTC)[:-3]))
    expected = {
        "spot.tif": "channels beside the colours",
        "multiplied.tif": "alpha that is multiplied into the colours (it becomes straight)",
        "lab.tif": "Lab colours (they become RGB)",
        "xmp.jpg": "extended XMP",
        "c2pa.jpg": "segment APP11",
        "exif.jpg": "damaged EXIF",
        "profile.jpg": "damaged ICC profile",
        "iptc.jpg": "damaged IPTC",
    }
    for name, lost in expected.items():
        opened = image_file.read(tmp_path / name)
        image_file.write(opened, tmp_path / "out.png")
        assert image_file.describe_lost(opened, tmp_path / "out.png") == f"not kept: {lost}"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(*chunks: bytes, behind: bytes = b"") -> bytes:
    """Chunks between the header and the pixels, and bytes behind the end."""
    content = io.BytesIO()
    drawn("RGB").save(content, "PNG")
    header, rest = content.getvalue()[:33], content.getvalue()[33:]
    return header + b"".join(chunks) + rest + behind


@pytest.mark.parametrize(
    ("damaged", "lost"),
    [
        (chunk(b"iCCP", b"name\0\0junk"), "damaged ICC profile"),
        (chunk(b"iCCP", b"name\0\0" + zlib.compress(b"junk" * 40)), "damaged ICC profile"),
        (chunk(b"eXIf", b"junkjunkjunk"), "damaged EXIF"),
        (chunk(b"eXIf", b"II*\0\xff\xff\xff\0"), "damaged EXIF"),
        (chunk(b"eXIf", b"II*\0\x08\0\0\0\x07\0" + bytes(20)), "damaged EXIF"),
        (chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0\0\0\0\0"), None),
    ],
)
def test_damaged_metadata_of_a_png_is_named(damaged, lost, tmp_path):
    (tmp_path / "a.png").write_bytes(png_of(damaged))
    opened = image_file.read(tmp_path / "a.png")
    image_file.write(opened, tmp_path / "b.png")
    assert np.array_equal(colours(tmp_path / "b.png"), np.asarray(drawn("RGB")))
    assert image_file.describe_lost(opened, tmp_path / "b.png") == (lost and f"not kept: {lost}")


NAMES_OF_PILLOW = ["transparency", "dpi", "xmp", "icc_profile", "aspect", "interlace", "resolution", "aux"]


@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize("name", NAMES_OF_PILLOW)
def test_a_text_is_no_more_than_text_whatever_its_key(name, is_last, tmp_path):
    """Pillow has texts in one place with what it knows of a picture."""
    text = chunk(b"tEXt", name.encode() + b"\0a b")
    content = png_of() if is_last else png_of(text)
    (tmp_path / "a.png").write_bytes(content[:-12] + text + content[-12:] if is_last else content)
    opened = image_file.read(tmp_path / "a.png")
    assert np.array_equal(opened.pixels(), np.asarray(drawn("RGB")))
    assert image_file.describe_lost(opened, tmp_path / "b.png") is None
    assert image_file.describe_lost(opened, tmp_path / "b.tif") == f"not kept: text ({name})"
    image_file.write(opened, tmp_path / "b.png")
    assert chunks(tmp_path / "b.png")[b"tEXt"] == name.encode() + b"\0a b"


def test_a_text_does_not_take_the_place_of_what_a_png_is(tmp_path):
    text = chunk(b"tEXt", b"transparency\0a b")
    (tmp_path / "a.png").write_bytes(png_of(chunk(b"tRNS", bytes(6)), text))
    with pytest.raises(UserError, match="a.png: unreadable picture"):  # it is not shown without its transparency
        image_file.read(tmp_path / "a.png")


@pytest.mark.parametrize("behind", [b"a trailer", chunk(b"juNK", b"what is no chunk of it"), chunk(b"tEXt", b"a\0b")])
def test_what_lies_behind_the_end_of_a_png_is_no_part_of_it(behind, tmp_path):
    (tmp_path / "a.png").write_bytes(png_of(behind=behind))
    opened = image_file.read(tmp_path / "a.png")
    assert image_file.describe_lost(opened, tmp_path / "b.png") is None
    assert image_file.describe_lost(opened, tmp_path / "b.tif") is None


@pytest.mark.parametrize(
    "many",
    [
        [chunk(b"tEXt", b"key %d\0text" % number) for number in range(2000)],
        [chunk(b"tEXt", b"k" * 5000 + b"\0text")],
        [chunk(b"zTXt", b"without end" * 500)],
        [chunk(b"a%cAA" % (65 + number), b"x") for number in range(26)],
        [chunk(bytes([97, *pair, 65]), b"x") for pair in itertools.product(range(65, 91), repeat=2)],
    ],
)
def test_what_is_not_kept_is_named_in_a_line_that_can_be_read(many, tmp_path):
    (tmp_path / "a.png").write_bytes(png_of(*many))
    line = image_file.describe_lost(image_file.read(tmp_path / "a.png"), tmp_path / "b.tif")
    assert line.startswith("not kept: ")
    assert len(line) < 400
    assert ("more" in line or "..." in line) == (len(many) != 26)


def avif_with(item: bytes) -> bytes:
    """An AVIF with one more property: the boxes around it grow, and the pixels move."""
    content = io.BytesIO()
    drawn("RGB").save(content, "AVIF")
    whole = bytearray(content.getvalue())
    pixels = struct.pack(">I", whole.index(b"mdat") + 4)
    place = whole.index(pixels)
    whole[place : place + 4] = struct.pack(">I", whole.index(b"mdat") + 4 + len(item))
    for box in (b"meta", b"iprp", b"ipco"):
        start = whole.index(box) - 4
        size = int.from_bytes(whole[start : start + 4])
        whole[start : start + 4] = struct.pack(">I", size + len(item))
    return bytes(whole[: start + size] + item + whole[start + size :])


@pytest.mark.parametrize(
    ("item", "lost"),
    [
        (struct.pack(">I4sII", 16, b"pasp", 2, 1), "not kept: shape of a pixel"),
        (struct.pack(">I4sII", 16, b"pasp", 1, 1), None),
        (
            struct.pack(">I4s8I", 40, b"clap", 20, 1, 10, 1, 0, 1, 0, 1),
            "not kept: clean aperture (the picture comes out uncut)",
        ),
    ],
)
def test_the_shape_and_the_cut_of_an_avif_are_said(item, lost, tmp_path):
    drawn("RGB").save(tmp_path / "plain.avif")
    (tmp_path / "a.avif").write_bytes(avif_with(item))
    opened = image_file.read(tmp_path / "a.avif")
    assert np.array_equal(opened.pixels(), image_file.read(tmp_path / "plain.avif").pixels())
    assert image_file.describe_lost(opened, tmp_path / "b.png") == lost


@pytest.mark.parametrize(("exif", "orientation"), [(b"", 6), (b"Exif\0\0damaged", 1)])
def test_a_picture_that_xmp_turns_comes_out_turned_as_it_was_read(exif, orientation, tmp_path):
    drawn("RGB").save(tmp_path / "a.jpg", xmp=b'<x tiff:Orientation="6"/>', exif=exif)
    opened = image_file.read(tmp_path / "a.jpg")
    assert opened.orientation == orientation
    for suffix in ("png", "tif", "webp"):
        image_file.write(opened, tmp_path / f"b.{suffix}")
        assert np.array_equal(image_file.read(tmp_path / f"b.{suffix}").pixels(), opened.pixels())
        if suffix != "tif":
            assert Image.open(tmp_path / f"b.{suffix}").getexif()[0x0112] == orientation


def test_exif_that_is_too_long_for_a_jpeg_is_said(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "long" * 20_000
    drawn("RGB").save(tmp_path / "a.png", exif=exif)
    opened = image_file.read(tmp_path / "a.png")
    image_file.write(opened, tmp_path / "b.jpg")
    assert image_file.describe_lost(opened, tmp_path / "b.jpg") == "not kept: EXIF"
    image_file.write(opened, tmp_path / "b.tif")
    assert image_file.describe_lost(opened, tmp_path / "b.tif") is None


def test_an_enlarged_picture_does_not_name_the_sides_it_had(tmp_path):
    exif = Image.Exif()
    exif[0x0100], exif[0x010F] = 34, "Camera"
    exif.get_ifd(0x8769)[0xA002], exif.get_ifd(0x8769)[0x829A] = 34, 0.004
    drawn("RGB").save(tmp_path / "a.png", exif=exif)
    opened = image_file.read(tmp_path / "a.png")
    image_file.write(opened.enlarged(opened.pixels().repeat(2, 0).repeat(2, 1)), tmp_path / "b.png")
    kept = Image.open(tmp_path / "b.png").getexif()
    assert 0x0100 not in kept
    assert kept[0x010F] == "Camera"
    assert set(kept.get_ifd(0x8769)) == {0x829A}


def test_what_a_format_cannot_keep_is_said(tmp_path):
    for mode, name, lost in [
        ("CMYK", "a.png", "no CMYK"),
        ("RGBA", "a.jpg", "no transparency"),
        ("RGB", "a.png", None),
    ]:
        drawn(mode).save(tmp_path / "in.tif")
        line = image_file.describe_lost(image_file.read(tmp_path / "in.tif"), tmp_path / name)
        assert (lost in line) if lost else line is None
    assert "alters pixels" in image_file.describe_altered(tmp_path / "a.jpg")
    assert image_file.describe_altered(tmp_path / "a.tif") is None


@settings(max_examples=150, deadline=None)
@given(suffix=st.sampled_from(["jpg", "tif", "png", "webp"]), data=st.data())
def test_a_damaged_file_is_read_or_refused_in_one_line(tmp_path_factory, suffix, data):
    folder = tmp_path_factory.mktemp("damaged")
    exif = Image.Exif()
    exif[0x010F], exif[0x011A] = "Camera", 72.0
    drawn("RGB").save(folder / f"a.{suffix}", exif=exif)
    content = bytearray((folder / f"a.{suffix}").read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] ^= data.draw(st.integers(1, 255))
    (folder / f"a.{suffix}").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image_file.write(image_file.read(folder / f"a.{suffix}"), folder / f"b.{suffix}")
        except UserError as error:
            assert "\n" not in str(error)
    assert {path.name for path in folder.iterdir()} <= {f"a.{suffix}", f"b.{suffix}"}


def bad_files() -> dict:
    return {
        "empty.png": b"",
        "text.jpg": b"hello",
        "svg.png": b"<svg/>",
    }


@pytest.mark.parametrize("name", bad_files())
def test_what_is_no_picture_is_refused_in_one_line(name, tmp_path):
    (tmp_path / name).write_bytes(bad_files()[name])
    with pytest.raises(UserError, match=name) as raised:
        image_file.read(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_what_would_not_come_out_as_it_went_in_is_refused(tmp_path):
    drawn("RGB").save(tmp_path / "pages.tif", save_all=True, append_images=[drawn("RGB")])
    with pytest.raises(UserError, match="pages.tif: several pictures in one file"):
        image_file.read(tmp_path / "pages.tif")
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((5, 5, 3), 60_000, np.uint16))
    with pytest.raises(UserError, match="deep.png: more than 8 bits a channel"):
        image_file.read(tmp_path / "deep.png")
    with pytest.raises(UserError, match="none.png: No such file"):
        image_file.read(tmp_path / "none.png")


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    drawn("I;16").save(tmp_path / "a.png")
    with pytest.raises(UserError, match="b.bmp: BMP cannot hold 16 bits"):
        image_file.write(image_file.read(tmp_path / "a.png"), tmp_path / "b.bmp")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    with pytest.raises(UserError, match="b.gif: no such format"):
        image_file.write(image_file.read(tmp_path / "a.png"), tmp_path / "b.gif")
