import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from pipeline.errors import UserError
from pipeline.restore import picture

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
    opened = picture.read(before)
    hole = half_hole(opened.size)
    restored = np.where(hole[..., None], 77, opened.pixels()).astype(opened.pixels().dtype)
    picture.write(opened.with_restored(restored, hole), after)
    first, second = colours(before), colours(after)
    assert np.array_equal(second[~hole], first[~hole])
    inside = picture.read(after).pixels()[hole].astype(int)
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
    opened = picture.read(folder / "a.png")
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
    opened = picture.read(tmp_path / f"a.{suffix}")
    picture.write(opened, tmp_path / f"b.{suffix}")
    with Image.open(tmp_path / f"a.{suffix}") as before, Image.open(tmp_path / f"b.{suffix}") as after:
        assert after.info["icc_profile"] == profile
        assert after.getexif()[0x010F] == "Camera"
        assert after.getexif().get_ifd(0x8825) == before.getexif().get_ifd(0x8825)
        assert after.info.get("dpi") == before.info.get("dpi")


def test_a_jpeg_keeps_its_quality(tmp_path):
    smooth = np.mgrid[:64, :80][0].astype(np.uint8)
    Image.fromarray(np.stack([smooth] * 3, -1)).save(tmp_path / "a.jpg", quality=60, subsampling=1)
    picture.write(picture.read(tmp_path / "a.jpg"), tmp_path / "b.jpg")
    with Image.open(tmp_path / "a.jpg") as before, Image.open(tmp_path / "b.jpg") as after:
        assert after.quantization == before.quantization
        assert np.abs(np.asarray(after, int) - np.asarray(before, int)).max() <= 2


def test_alpha_becomes_full_where_a_transparent_hole_is_restored(tmp_path):
    image = drawn("RGBA")
    image.putalpha(Image.fromarray(np.where(half_hole(image.size), 0, 120).astype(np.uint8)))
    image.save(tmp_path / "a.png")
    opened = picture.read(tmp_path / "a.png")
    hole = opened.transparent()
    assert np.array_equal(hole, half_hole(image.size))
    alpha = np.asarray(opened.with_restored(opened.pixels(), hole, opaque=True).stored.getchannel("A"))
    assert set(alpha[hole]) == {255}
    assert set(alpha[~hole]) == {120}


def test_exif_of_a_jpeg_that_names_its_sides_does_not_spoil_a_tiff(tmp_path):
    exif = Image.Exif()
    exif[0x0100], exif[0x0101], exif[0x0103] = 4000, 3000, 7
    drawn("RGB").save(tmp_path / "a.jpg", exif=exif)
    opened = picture.read(tmp_path / "a.jpg")
    picture.write(opened, tmp_path / "b.tif")
    assert np.array_equal(picture.read(tmp_path / "b.tif").pixels(), opened.pixels())


def test_transparency_by_colour_is_kept(tmp_path):
    drawn("1").save(tmp_path / "bit.png", transparency=0)
    opened = picture.read(tmp_path / "bit.png")
    assert np.array_equal(opened.transparent(), opened.pixels()[..., 0] == 0)
    drawn("I;16").save(tmp_path / "deep.png", transparency=5)
    picture.write(picture.read(tmp_path / "deep.png"), tmp_path / "again.png")
    assert Image.open(tmp_path / "again.png").info["transparency"] == 5


def test_pixels_beyond_16_bits_are_refused(tmp_path):
    for number, value in enumerate((100_000, -5)):
        Image.fromarray(np.full((4, 4), value, np.int32)).save(tmp_path / f"{number}.tif")
        with pytest.raises(UserError, match="beyond 16 bits"):
            picture.read(tmp_path / f"{number}.tif")


def test_what_a_format_cannot_keep_is_said(tmp_path):
    for mode, name, said in [
        ("CMYK", "a.png", "no CMYK"),
        ("RGBA", "a.jpg", "no transparency"),
        ("RGB", "a.png", None),
    ]:
        drawn(mode).save(tmp_path / "in.tif")
        lost = picture.lost(picture.read(tmp_path / "in.tif"), tmp_path / name)
        assert (said in lost) if said else lost is None


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
            picture.write(picture.read(folder / f"a.{suffix}"), folder / f"b.{suffix}")
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
        picture.read(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_what_would_not_come_out_as_it_went_in_is_refused(tmp_path):
    drawn("RGB").save(tmp_path / "pages.tif", save_all=True, append_images=[drawn("RGB")])
    with pytest.raises(UserError, match="pages.tif: several pictures in one file"):
        picture.read(tmp_path / "pages.tif")
    import cv2

    cv2.imwrite(str(tmp_path / "deep.png"), np.full((5, 5, 3), 60_000, np.uint16))
    with pytest.raises(UserError, match="deep.png: more than 8 bits a channel"):
        picture.read(tmp_path / "deep.png")
    with pytest.raises(UserError, match="none.png: No such file"):
        picture.read(tmp_path / "none.png")


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    drawn("I;16").save(tmp_path / "a.png")
    with pytest.raises(UserError, match="b.bmp: BMP cannot hold 16 bits"):
        picture.write(picture.read(tmp_path / "a.png"), tmp_path / "b.bmp")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    with pytest.raises(UserError, match="b.gif: no such format"):
        picture.write(picture.read(tmp_path / "a.png"), tmp_path / "b.gif")
