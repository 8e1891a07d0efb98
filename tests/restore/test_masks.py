import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UserError
from pipeline.restore import masks, picture
from tests.tiff import tiff


@pytest.fixture
def photo(tmp_path) -> picture.Picture:
    """60 px wide and 40 px high when upright; stored on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 60), "teal").save(tmp_path / "photo.png", exif=exif)
    return picture.read(tmp_path / "photo.png")


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
    found = masks.of_colour(picture.read(tmp_path / "painted.jpg").pixels(), (255, 0, 255))
    assert found[LEFT].all()
    assert not found[:, 24:].any()


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
    doubt = masks.doubt(hole)
    assert (said in doubt) if said else doubt is None


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


def test_numbers_of_32_bits_are_white_by_their_range():
    for white in (1, 255, 65535):
        for kind in (np.int32, np.float32):
            assert np.array_equal(masks.of_image(Image.fromarray(LEFT.astype(kind) * white)), LEFT), (white, kind)
    assert not masks.of_image(Image.new("F", (4, 4))).any()
