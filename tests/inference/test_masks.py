import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageColor
from skimage import data

from pipeline.inference import image_file, masks
from pipeline.inference.model_files import MODELS
from pipeline.inference.restorer import Restorer
from pipeline.runtime.errors import UserError
from tests.tiff import tiff

RESTORER = Restorer.load(MODELS / "restore/generator.onnx")


@pytest.fixture
def photo(tmp_path) -> image_file.Picture:
    """60 px wide and 40 px high when upright; stored on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 60), "teal").save(tmp_path / "photo.png", exif=exif)
    return image_file.read(tmp_path / "photo.png")


LEFT = np.zeros((40, 60), bool)
LEFT[:, :20] = True


def saved(tmp_path, image: Image.Image):
    image.save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


def test_white_is_to_be_restored(photo, tmp_path):
    for mode in ("1", "L", "RGB", "P", "I;16"):
        image = Image.fromarray(LEFT.astype(np.uint8) * 255)
        image = Image.fromarray(LEFT.astype(np.uint16) * 65535) if mode == "I;16" else image.convert(mode)
        assert np.array_equal(masks.read(saved(tmp_path, image), photo), LEFT), mode


def test_strokes_on_a_transparent_layer_are_a_mask(photo, tmp_path):
    layer = np.zeros((40, 60, 4), np.uint8)
    layer[LEFT] = 255
    assert np.array_equal(masks.read(saved(tmp_path, Image.fromarray(layer)), photo), LEFT)


def test_one_of_another_size_is_scaled_without_grey(photo, tmp_path):
    small = Image.fromarray(LEFT.astype(np.uint8) * 255).resize((30, 20), Image.Resampling.NEAREST)
    assert np.array_equal(masks.read(saved(tmp_path, small), photo), LEFT)
    with pytest.raises(UserError, match="mask.png: 30 x 30 px, but the picture has 60 x 40"):
        masks.read(saved(tmp_path, small.resize((30, 30))), photo)


def test_one_drawn_on_the_stored_picture_is_turned_with_it(photo, tmp_path):
    stored = Image.fromarray(LEFT.astype(np.uint8) * 255).transpose(Image.Transpose.ROTATE_90)
    assert stored.size == (40, 60)
    assert np.array_equal(masks.read(saved(tmp_path, stored), photo), LEFT)


def test_a_colour_is_found_after_jpeg_too(tmp_path):
    pixels = np.full((40, 60, 3), (30, 90, 40), np.uint8)
    pixels[LEFT] = (255, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "painted.jpg", quality=90, subsampling=0)
    found = masks.from_colour(image_file.read(tmp_path / "painted.jpg").pixels(), (255, 0, 255))
    assert found[LEFT].all()
    assert not found[:, 24:].any()


def strokes(photo: np.ndarray) -> np.ndarray:
    painted = np.zeros(photo.shape[:2], np.uint8)
    for width, turns in (
        (3, [(20, 30), (200, 60), (90, 120)]),
        (8, [(30, 200), (220, 150)]),
        (14, [(120, 90), (230, 230)]),
    ):
        cv2.polylines(painted, [np.array(turns)], False, 1, width)
    return painted.astype(bool)


def as_jpeg(pixels: np.ndarray, quality: int, subsampling: int) -> np.ndarray:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=quality, subsampling=subsampling)
    return np.array(Image.open(content))


def moved_to(colour: tuple[int, ...], before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far chroma has come towards a colour's, of 255."""
    paint = np.full_like(before, colour)
    *pictures, aim = (cv2.cvtColor(p, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(float) for p in (before, after, paint))
    way = aim - pictures[0]
    return ((pictures[1] - pictures[0]) * way).sum(axis=-1) / np.maximum(1, np.linalg.norm(way, axis=-1))


@pytest.mark.parametrize("colour", ["magenta", "lime", "red", "blue"])
@pytest.mark.parametrize(("quality", "subsampling"), [(75, 2), (90, 2), (75, 0), (95, 0)])
def test_all_that_a_colour_has_run_into_in_a_jpeg_is_taken_and_leaves_no_tint(colour, quality, subsampling):
    photo, rgb = np.ascontiguousarray(data.coffee()[20:276, 100:356]), ImageColor.getrgb(colour)
    painted = strokes(photo)
    clean = as_jpeg(photo, quality, subsampling)
    seen = as_jpeg(np.where(painted[..., None], np.uint8(rgb), photo), quality, subsampling)
    hole = masks.from_colour(seen, rgb)
    tinted = moved_to(rgb, clean, seen) > 12
    assert hole[painted].all()
    assert (tinted & ~hole).sum() < 0.02 * tinted.sum()
    assert moved_to(rgb, clean, seen)[~hole].max() < 40
    assert hole.sum() < 3.1 * painted.sum()
    restored = RESTORER.restore(seen, hole, see_through=False)
    assert np.abs(moved_to(rgb, clean, restored)[painted].mean()) < 8
    assert np.percentile(moved_to(rgb, clean, restored), 99) < 25


@pytest.mark.parametrize("colour", ["white", "black"])
def test_paint_without_colour_is_taken_with_its_rim(colour):
    photo, rgb = np.ascontiguousarray(data.chelsea()[20:276, 100:356]), ImageColor.getrgb(colour)
    painted = strokes(photo)
    hole = masks.from_colour(as_jpeg(np.where(painted[..., None], np.uint8(rgb), photo), 75, 2), rgb)
    assert hole[cv2.dilate(painted.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0].mean() > 0.99
    assert hole.sum() < 3 * painted.sum()


def test_a_colour_that_is_nowhere_is_said():
    with pytest.raises(UserError, match="no pixel is painted #00ff00"):
        masks.from_colour(data.coffee(), (0, 255, 0))


@pytest.mark.parametrize("strip", [7, 1024])
def test_a_mask_grows_by_its_width_to_all_sides(strip, monkeypatch):
    monkeypatch.setattr(masks, "STRIP", strip)
    hole = np.zeros((40, 60), bool)
    hole[20, 30] = True
    y, x = np.mgrid[:40, :60]
    for width in (0, 1, 5, 16, 99):
        assert np.array_equal(masks.grow(hole, width), np.hypot(y - 20, x - 30) <= width)
    assert not masks.grow(np.zeros((5, 5), bool), 3).any()


@pytest.mark.parametrize(
    ("hole", "said"),
    [
        (np.zeros((9, 9), bool), "black all over"),
        (np.ones((9, 9), bool), "white all over"),
        (~np.pad(np.ones((3, 3), bool), 8), "looks inverted"),
        (LEFT, None),
        (np.pad(np.ones((20, 20), bool), 2), None),
    ],
)
def test_a_mask_that_looks_wrong_is_doubted(hole, said):
    warning = masks.mask_warning(hole)
    assert (said in warning) if said else warning is None


def test_a_mask_of_any_tiff_is_as_white_as_in_a_viewer(photo, tmp_path):
    white = LEFT.astype(np.uint16) * 65535
    for content in (tiff(white), tiff(white, order=">"), tiff(~white, photometric=0), tiff(~white, 0, ">")):
        (tmp_path / "mask.tif").write_bytes(content)
        assert np.array_equal(masks.read(tmp_path / "mask.tif", photo), LEFT)
    for content in (tiff(LEFT.astype(np.float32)), tiff(white >> 4), tiff(white, pages=2)):
        (tmp_path / "mask.tif").write_bytes(content)
        with pytest.raises(UserError, match="mask.tif: "):
            masks.read(tmp_path / "mask.tif", photo)


def test_a_mask_may_be_any_kind_of_picture(photo, tmp_path):
    image = Image.fromarray(LEFT.astype(np.uint8) * 255)
    for name in ("mask.gif", "mask.avif", "mask.webp", "mask.bmp", "mask.jpg"):
        image.save(tmp_path / name)
        assert np.array_equal(masks.read(tmp_path / name, photo), LEFT), name


def test_a_picture_of_zeros_and_ones_is_a_mask_and_what_is_not_a_number_is_refused():
    zeros_and_ones = np.eye(4, dtype=np.uint8)
    assert masks.from_image(Image.fromarray(zeros_and_ones)).sum() == 4
    assert masks.from_image(Image.fromarray(zeros_and_ones.astype(np.uint16) * 255)).sum() == 4
    with pytest.raises(ValueError, match="a mask of float32 from nan to nan"):
        masks.from_image(Image.fromarray(np.full((4, 4), np.nan, np.float32)))


def test_a_photograph_is_no_mask_and_a_soft_mask_is_one(tmp_path):
    Image.fromarray(data.coffee()).save(tmp_path / "photo.jpg")
    before = image_file.read(tmp_path / "photo.jpg")
    with pytest.raises(UserError, match=r"photo.jpg: \d+% of it is neither black nor white; expected a mask, white"):
        masks.read(tmp_path / "photo.jpg", before)
    layer = Image.fromarray(data.coffee()).convert("RGBA")  # a cut-out: white strokes, and the photo where all is clear
    layer.putalpha(0)
    layer.paste("white", (100, 100, 300, 200))
    layer.save(tmp_path / "layer.png")
    assert masks.read(tmp_path / "layer.png", before).sum() == 200 * 100
    soft = cv2.GaussianBlur(np.pad(np.full((200, 300), 255, np.uint8), [(100, 100), (150, 150)]), (0, 0), 20)
    Image.fromarray(soft).save(tmp_path / "mask.jpg", quality=60)
    assert masks.read(tmp_path / "mask.jpg", before).mean() == pytest.approx(0.25, abs=0.01)


MODES = ["1", "L", "P", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "LA", "La", "PA", "I", "F"]
MODES += ["I;16", "I;16L", "I;16B", "I;16N"]


@pytest.mark.parametrize("mode", MODES)
def test_a_pil_image_of_any_mode_is_a_mask_by_its_own_white_or_is_refused(mode):
    black = {"LAB": (0, 128, 128), "CMYK": (0, 0, 0, 255), "YCbCr": (0, 128, 128)}.get(mode, 0)

    def painted(white) -> Image.Image:
        image = Image.new(mode, LEFT.shape[::-1], black)
        if mode in {"P", "PA"}:
            image.putpalette(np.arange(256).repeat(3).tolist())
        level = image.load()
        for row, column in np.argwhere(LEFT).tolist():
            level[column, row] = white
        return image

    opaque = {"RGBA": (255,) * 4, "RGBa": (255,) * 4, "LA": (255, 255), "La": (255, 255), "PA": (255, 255)}
    coloured = {"RGB": (255,) * 3, "RGBX": (255,) * 4, "CMYK": (0,) * 4, "HSV": (0, 0, 255), "LAB": (255, 128, 128)}
    whites = opaque | coloured | {"YCbCr": (255, 128, 128)}
    deep = mode.startswith("I;16")
    assert np.array_equal(masks.from_image(painted(whites.get(mode, 65535 if deep else 255))), LEFT)
    if mode in {"L", "I", "F"} or deep:
        for sure in (1, 255, *([65535] if mode != "L" else [])):
            assert np.array_equal(masks.from_image(painted(sure)), LEFT)
        for unsure in (2, 3, 100, 127, *([300, 32767] if mode != "L" else [])):
            with pytest.raises(ValueError, match=rf"from 0(.0)? to {unsure}(.0)?; expected bool"):
                masks.from_image(painted(unsure))


def test_labels_and_dark_colours_are_no_masks():
    labels = np.arange(4, dtype=np.uint8).repeat(15)[None].repeat(40, 0)
    palette = Image.fromarray(LEFT.astype(np.uint8)).convert("P")
    palette.putpalette([0, 0, 0, 128, 0, 0])  # the colours of VOC's classes
    dark = Image.fromarray(np.where(LEFT[..., None], (0, 0, 200), 0).astype(np.uint8))
    for wrong in (Image.fromarray(labels), palette, dark, Image.fromarray(labels.astype(np.float32) + 0.5)):
        with pytest.raises(ValueError, match=r"a mask of (uint8|float32) from 0(.5)? to \d+(.5)?; expected bool"):
            masks.from_image(wrong)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "I", "F", "I;16"])
def test_a_photograph_is_no_mask_as_an_image_either(mode):
    photo = Image.fromarray(data.coffee())
    deep = np.asarray(photo.convert("L")).astype(np.uint16) * 257
    grey = photo.convert("L") if mode == "F" else photo
    image = Image.fromarray(deep) if mode == "I;16" else grey.convert(mode)
    with pytest.raises(ValueError, match=r"\d+% of it is neither black nor white; expected a mask, white"):
        masks.from_image(image)


def test_a_mask_file_of_unsure_white_is_refused_by_its_name(photo, tmp_path):
    for values in (LEFT * np.uint8(2), np.stack([LEFT * np.uint8(100)] * 3, -1)):
        with pytest.raises(UserError, match=r"mask.png: a mask of uint8 from 0 to \d+; expected"):
            masks.read(saved(tmp_path, Image.fromarray(values)), photo)


def test_paint_of_a_png_is_taken_with_no_more_than_its_rim():
    """What is sharp has smeared nothing, so that what is around it is the picture."""
    painted = strokes(data.coffee()[20:276, 100:356])
    seen = np.where(painted[..., None], np.uint8((255, 0, 255)), data.coffee()[20:276, 100:356])
    hole = masks.from_colour(np.ascontiguousarray(seen), (255, 0, 255))
    assert np.array_equal(hole, cv2.dilate(painted.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)


def test_numbers_of_32_bits_are_white_by_their_range():
    for white in (1, 255, 65535):
        for kind in (np.int32, np.float32):
            assert np.array_equal(masks.from_image(Image.fromarray(LEFT.astype(kind) * white)), LEFT), (white, kind)
    assert not masks.from_image(Image.new("F", (4, 4))).any()
