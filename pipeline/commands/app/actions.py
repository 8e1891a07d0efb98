"""What the page's buttons do: from what is uploaded and painted to what is shown and downloaded."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from pipeline.commands.app.uploads import refuse_when_full
from pipeline.corruptions import freeform, scratch, stain
from pipeline.images import detect_scratches
from pipeline.images.decode import sides
from pipeline.inference import image_file, insert_object, pyramid
from pipeline.inference.detector import Detector, mark
from pipeline.inference.enlarger import Enlarger
from pipeline.inference.image_file import Picture
from pipeline.inference.restorer import Restorer
from pipeline.inference.translator import Translator
from pipeline.params import Freeform, Scratch, Section, Stain
from pipeline.runtime.errors import UserError

MOST_PIXELS = 25_000_000
SHOWN = 1024  # px: longest side of what the browser shows and paints on; the file itself is restored
ALIKE = 16  # of 255: the most that the editor's picture differs on average from the photo it shows
RADIUS = 3  # px: of the classical methods
GAN, TELEA, NAVIER_STOKES = "GAN", "Telea", "Navier-Stokes"
DAMAGE, OBJECT = "damage: what shines through is used, where anything does", "an object: it goes"
EXAMPLES: dict[str, tuple[str, Callable, Section]] = {  # a photograph, and a damage as the model that ships knows it
    "scratches": (
        "chelsea",
        scratch.corrupt,
        Scratch(count=[2, 8], length=[0.3, 1.2], width=[0.006, 0.024], opacity=[0.8, 1.0]),
    ),
    "stains": ("coffee", stain.corrupt, Stain(count=[1, 4], radius=[0.06, 0.2], opacity=[0.5, 0.95])),
    "paint": ("astronaut", freeform.corrupt, Freeform(count=[1, 4], vertices=[4, 12], width=[0.047, 0.156])),
}
Editor = dict[str, Any]
"""What Gradio's image editor holds: `background`, `layers` and `composite`, uint8 HWC."""


def show_for_painting(photo: str | None) -> Editor:
    """The photo in the editor."""
    background = preview(open_upload(photo).pixels_in_8_bits())
    return paint_over(background, np.zeros(background.shape[:2], bool))


def show_example(name: str) -> tuple[str, Editor]:
    """A photograph of scikit-image's, damaged: its file, and the editor with the damage painted over."""
    from skimage import data

    title, corrupt, params = EXAMPLES[name]
    image, hole = corrupt(getattr(data, title)(), np.random.default_rng(1), params)
    path = Path(tempfile.mkdtemp(dir=uploads_folder())) / f"{title}.png"
    Image.fromarray(image).save(path)
    return str(path), paint_over(preview(image), hole)


def propose_scratches(photo: str | None) -> Editor:
    """The photo with what may be scratches painted over."""
    pixels = open_upload(photo).pixels_in_8_bits()
    return paint_over(preview(pixels), detect_scratches.detect(pixels))


def find_damage(detector: Detector, photo: str | None, threshold: float) -> tuple[Editor, np.ndarray, str]:
    """The photo with its damage painted over, a heat map of how probable damage is, and a line about both."""
    before = open_upload(photo)
    probability = probability_of_damage(detector, before, Path(photo or ""))
    hole, doubtful = mark(probability, threshold)
    pixels = before.pixels_in_8_bits()
    line = "Probability of damage" if hole.any() else "No damage is found; paint over it"
    if doubtful:
        line = f"{line}; doubtful regions, not marked: {doubtful}"
    return paint_over(preview(pixels), hole), heat_map(pixels, probability), line


def probability_of_damage(detector: Detector, before: Picture, photo: Path) -> np.ndarray:
    """As the detector finds it, float32 HW; kept beside the upload, for the next threshold."""
    found = photo.parent / "damage" / f"{photo.name}.png"  # where no upload can be
    if not found.exists():
        probability = (detector(before.pixels()) * 65535).round().astype(np.uint16)
        refuse_when_full(uploads_folder(), probability.nbytes)
        image_file.write(Picture(Image.fromarray(probability)), found)
    os.utime(found)  # in use
    with Image.open(found) as levels:
        return np.asarray(levels).astype(np.float32) / 65535


def heat_map(pixels: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """The photo in dark grey, and on it the probability, from violet through red to yellow; as `preview`."""
    grey = cv2.cvtColor(preview(pixels), cv2.COLOR_RGB2GRAY)[..., None] / 2
    reach = -(-max(probability.shape) // SHOWN)  # px that become one: of these the most
    most = cv2.dilate(probability, np.ones((reach, reach)))
    share = cv2.resize(most, grey.shape[1::-1], interpolation=cv2.INTER_NEAREST)[..., None]
    colours = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_PLASMA)[..., ::-1]
    cover = np.minimum(1, 2 * share)  # what is doubtful shall be seen too
    return (grey + (colours - grey) * cover).astype(np.uint8)


def paint_over(background: np.ndarray, hole: np.ndarray) -> Editor:
    """What an empty editor shows: a layer of paint on the background.

    The layer is as large as the canvas, the picture in its corner: Gradio moves a smaller one to the middle. It is
    there without paint too: it is where Gradio's history begins, whose first step would else take the photo back.
    """
    refuse_when_full(uploads_folder(), 2 * 4 * SHOWN**2)
    height, width = background.shape[:2]
    layer = np.zeros((SHOWN, SHOWN, 4), np.uint8)
    shrunk = Image.fromarray(hole).convert("L").resize((width, height), Image.Resampling.BOX)
    layer[:height, :width][np.asarray(shrunk) > 0] = (255, 0, 255, 255)
    return {"background": background, "layers": [layer], "composite": None}


def restore_photo(
    restorer: Restorer, photo: str | None, editor: Editor, kind: str, method: str, fidelity: float
) -> tuple:
    """Before and after for the slider, and the restored file."""
    before = open_upload(photo)
    hole = read_paint(editor, before)
    pixels = before.pixels()
    if method == GAN:
        result = restorer.restore(pixels, hole, None if kind == DAMAGE else False, fidelity)
    else:
        from pipeline.evaluation import baselines

        classical = baselines.telea if method == TELEA else baselines.navier_stokes
        result = classical(before.pixels_in_8_bits(), hole, RADIUS)
        result = pyramid.as_kind(pyramid.as_float(result), pixels.dtype)
    after = before.with_restored(result, hole)
    shown = preview(before.pixels_in_8_bits()), preview(after.pixels_in_8_bits())
    return shown, save_download(after, photo, method)


def enlarge_photo(enlargers: list[Enlarger], photo: str | None, factor: int) -> tuple:
    """Before (the bicubic filter) and after for the slider, and the enlarged file; enlargers as `BY_COMPRESSION`."""
    before = open_upload(photo, MOST_PIXELS // factor**2)
    after = before.enlarged(enlargers[before.compressed](before.pixels(), factor))
    filtered = Image.fromarray(before.pixels_in_8_bits()).resize(after.size, Image.Resampling.BICUBIC)
    shown = preview(np.asarray(filtered)), preview(after.pixels_in_8_bits())
    return shown, save_download(after, photo, f"x{factor}")


def change_look(translator: Translator, photo: str | None, editor: Editor | None, strength: float) -> tuple:
    """Before and after for the slider, and the file in the other look: where there is paint, without any everywhere."""
    before = open_upload(photo)
    everywhere = not (editor and any(layer[..., 3].any() for layer in editor["layers"]))
    hole = np.ones(before.size[::-1], bool) if everywhere else read_paint(editor, before)
    after = before.with_restored(translator.change(before.pixels(), None if everywhere else hole, strength), hole)
    shown = preview(before.pixels_in_8_bits()), preview(after.pixels_in_8_bits())
    return shown, save_download(after, photo, "changed")


def place_object(
    restorer: Restorer, source: str | None, editor: Editor, photo: str | None, across: float, down: float, size: float
) -> tuple:
    """Before and after for the slider, and the file with the object."""
    origin, before = open_upload(source), open_upload(photo)
    silhouette = read_paint(editor, origin)
    if origin.size[0] * origin.size[1] * (size / 100) ** 2 > MOST_PIXELS:
        raise UserError(f"the object would be too large; at most {MOST_PIXELS / 1e6:.0f} million pixels, please")
    at = round(across / 100 * before.size[0]), round(down / 100 * before.size[1])
    pixels = before.pixels_in_8_bits()
    result = insert_object.insert(restorer, pixels, origin.pixels_in_8_bits(), silhouette, at, size / 100)
    in_depth = pyramid.as_kind(pyramid.as_float(result), before.pixels().dtype)
    after = before.with_restored(in_depth, (result != pixels).any(axis=-1))
    return (preview(pixels), preview(result)), save_download(after, photo, "with-object")


def open_upload(photo: str | None, most: int = MOST_PIXELS) -> Picture:
    """The uploaded picture.

    Raises:
        UserError: none is there, it cannot be read, or it is too large.
    """
    if photo is None:
        raise UserError("drop a photo first, or pick an example")
    path = Path(photo)
    try:
        width, height = sides(path.read_bytes(), path.name)
        os.utime(path)  # in use
    except OSError:
        raise UserError("the photo was deleted after ten minutes; drop it again") from None
    if width * height > most:
        raise UserError(f"{path.name}: {width} x {height} px; at most {most / 1e6:.0f} million pixels, please")
    try:
        return image_file.read(path)
    except UserError as error:
        raise UserError(str(error).replace(str(path), path.name)) from None


def read_paint(editor: Editor | None, photo: Picture) -> np.ndarray:
    """Where there is paint on the photo; bool, at the size of the photo itself.

    Raises:
        UserError: nowhere, or it is on another picture.
    """
    shown = preview(photo.pixels_in_8_bits())
    height, width = shown.shape[:2]
    layers = [layer[:height, :width, 3] > 127 for layer in editor["layers"]] if editor else []  # cut: `paint_over`
    if not editor or not any(layer.any() for layer in layers):
        raise UserError("nothing is painted; paint over the damage first")
    background = editor["background"][..., :3]
    alike = background.shape == shown.shape and all(layer.shape == shown.shape[:2] for layer in layers)
    if not alike or np.abs(background.astype(int) - shown).mean() > ALIKE:
        raise UserError("the paint is on another picture; drop the photo again, and paint on it")
    hole = np.any(layers, axis=0)
    return np.asarray(Image.fromarray(hole).convert("L").resize(photo.size, Image.Resampling.NEAREST)) > 0


def preview(pixels: np.ndarray) -> np.ndarray:
    """The picture as the browser gets it."""
    image = Image.fromarray(pixels)
    image.thumbnail((SHOWN, SHOWN))
    return np.asarray(image)


def uploads_folder() -> Path:
    """The folder of the uploads and results."""
    return Path(os.environ["GRADIO_TEMP_DIR"])


def save_download(after: Picture, photo: str | None, how: str) -> str:
    """The file to download: PNG, which keeps what was not painted over bit for bit (TIFF where colours are CMYK)."""
    suffix = ".tif" if after.stored.mode == "CMYK" else ".png"
    refuse_when_full(uploads_folder(), np.asarray(after.stored).nbytes + 2 * 4 * SHOWN**2)
    path = Path(tempfile.mkdtemp(dir=uploads_folder())) / f"{Path(photo or 'picture').stem}-{how.lower()}{suffix}"
    image_file.write(after, path)
    return str(path)
