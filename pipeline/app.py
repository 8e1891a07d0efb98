"""The page on which pictures are restored: `make app`.

Uploads lie in a temporary folder, for minutes; the folder goes when the server does.
"""

from pipeline import command

if __name__ == "__main__":
    parser = command.parser("app", __doc__)
    parser.add_argument("--model", help="a model folder or a URI of MLflow, for holes; by default the one that ships")
    options = command.read(parser)

import html
import os
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.decode import SUFFIXES, sides
from pipeline.errors import UserError, one_line_errors
from pipeline.params import load
from pipeline.restore import editing, picture, scales, scratches
from pipeline.restore.picture import Picture
from pipeline.restore.restorer import MODELS, Restorer

MOST_BYTES = "40mb"
MOST_PIXELS = 25_000_000
SHOWN = 1024  # px: longest side of what the browser shows and paints on; the file itself is restored
PAINT = "#ff00ff"
SWEEP, AGE = 30, 600  # seconds: how often files are looked at, and how old they get
RADIUS = 3  # px: of the classical methods
GAN, TELEA, NAVIER_STOKES = "GAN", "Telea", "Navier-Stokes"
DAMAGE, OBJECT = "damage: what shines through is used", "an object: it goes"
EXAMPLES = {"scratches": ("chelsea", "scratch"), "stains": ("coffee", "stain"), "paint": ("astronaut", "freeform")}

Editor = dict[str, Any]
"""What Gradio's image editor holds: `background`, `layers` and `composite`, uint8 HWC."""


def main(model: str | None) -> None:
    """Serve the page until it is interrupted."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False"}
        try:
            import gradio as gr
        except ImportError:
            raise UserError("Gradio is not installed; pip install gradio") from None
        except ValueError as error:
            raise UserError(f"Gradio: {error}; check the environment variables GRADIO_*") from None
        over = threading.Event()
        threading.Thread(target=forget, args=(Path(folder), over), daemon=True).start()
        page = built(Restorer.load(model or MODELS / "restore"), Restorer.load(MODELS / "superres"))
        page.queue(max_size=50, default_concurrency_limit=1)
        page.launch(
            max_file_size=MOST_BYTES,
            theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
            run_history=False,
            footer_links=[],
        )
        over.set()


def forget(folder: Path, over: threading.Event) -> None:
    """Delete uploads and results once they are old."""
    while not over.wait(SWEEP):
        sweep(folder, AGE)


def sweep(folder: Path, age: float) -> None:
    """Delete the files that are older than so many seconds."""
    for path in folder.rglob("*"):
        if path.is_file() and time.time() - path.stat().st_mtime > age:
            path.unlink(missing_ok=True)


def built(restorer: Restorer, enlarger: Restorer) -> Any:
    """The page, with its two generators."""
    import gradio as gr

    with gr.Blocks(title="Mendline") as page:
        gr.Markdown("# Mendline\nRestore pictures. They are deleted from this server after ten minutes.")
        with gr.Tab("Restore"):
            restore_tab(gr, restorer)
        with gr.Tab("Enlarge"):
            enlarge_tab(gr, enlarger)
        with gr.Tab("Insert an object"):
            insert_tab(gr, restorer)
    return page


def restore_tab(gr: Any, restorer: Restorer) -> None:
    """A photo, paint over its damage, before and after."""
    with gr.Row():
        with gr.Column(min_width=300):
            photo = gr.File(label="Photo", file_types=list(SUFFIXES), height=110, elem_id="photo")
            with gr.Row():
                examples = [gr.Button(f"Example: {name}", size="sm", min_width=80) for name in EXAMPLES]
            editor = canvas(gr, "Paint over the damage", "canvas")
            propose = gr.Button("Propose scratches (a guess: look at it)", size="sm")
            kind = gr.Radio([DAMAGE, OBJECT], value=DAMAGE, label="What is under the paint")
            method = gr.Radio([GAN, TELEA, NAVIER_STOKES], value=GAN, label="Method")
            button = gr.Button("Restore", variant="primary", elem_id="restore")
        with gr.Column(min_width=300):
            slider, download = results(gr, "restored")
    photo.upload(told(gr, shown_for_painting), photo, editor)
    for name, chosen in zip(EXAMPLES, examples, strict=True):
        chosen.click(partial(example, name), None, [photo, editor])
    propose.click(told(gr, proposed), photo, editor)
    button.click(
        told(gr, partial(restored, restorer)), [photo, editor, kind, method], [slider, download], api_name="restore"
    )


def enlarge_tab(gr: Any, enlarger: Restorer) -> None:
    """A photo, twice or four times the size."""
    with gr.Row():
        with gr.Column(min_width=300):
            photo = gr.File(label="Photo", file_types=list(SUFFIXES), height=110, elem_id="small-photo")
            factor = gr.Radio([2, 4], value=2, label="Times")
            button = gr.Button("Enlarge", variant="primary", elem_id="enlarge")
        with gr.Column(min_width=300):
            slider, download = results(gr, "enlarged")
    button.click(told(gr, partial(enlarged, enlarger)), [photo, factor], [slider, download], api_name="enlarge")


def insert_tab(gr: Any, restorer: Restorer) -> None:
    """An object out of one photo into another."""
    with gr.Row():
        with gr.Column(min_width=300):
            source = gr.File(label="Photo with the object", file_types=list(SUFFIXES), height=110)
            editor = canvas(gr, "Paint over the object", "object-canvas")
        with gr.Column(min_width=300):
            photo = gr.File(label="Photo to put it into", file_types=list(SUFFIXES), height=110)
            across = gr.Slider(0, 100, 50, label="From the left, %")
            down = gr.Slider(0, 100, 50, label="From the top, %")
            size = gr.Slider(5, 400, 100, label="Size, %")
            button = gr.Button("Insert", variant="primary")
            slider, download = results(gr, "inserted")
    source.upload(told(gr, shown_for_painting), source, editor)
    inputs = [source, editor, photo, across, down, size]
    button.click(told(gr, partial(inserted, restorer)), inputs, [slider, download], api_name="insert")


def canvas(gr: Any, label: str, name: str) -> Any:
    """Where masks are painted."""
    from pipeline.canvas import Canvas

    brush = gr.Brush(colors=[PAINT], color_mode="fixed", default_size=24)
    layers = gr.LayerOptions(allow_additional_layers=False, disabled=True)
    options = {"sources": (), "transforms": (), "layers": layers, "brush": brush, "format": "png", "elem_id": name}
    return Canvas(label=label, canvas_size=(SHOWN, SHOWN), height=420, **options)


def results(gr: Any, name: str) -> tuple[Any, Any]:
    """Before and after, and the file."""
    slider = gr.ImageSlider(label="Before and after", interactive=False, elem_id=f"{name}-slider", max_height=600)
    return slider, gr.DownloadButton("Download", elem_id=f"{name}-download")


def told(gr: Any, function: Callable) -> Callable:
    """The function, whose `UserError` becomes a message on the page."""

    @wraps(function)
    def telling(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except UserError as error:
            raise gr.Error(html.escape(str(error)), print_exception=False) from None

    return telling


def shown_for_painting(photo: str | None) -> Editor:
    """The photo in the editor."""
    background = preview(opened(photo).pixels_in_8_bits())
    return {"background": background, "layers": [], "composite": None}


def example(name: str) -> tuple[str, Editor]:
    """A photograph of scikit-image's, damaged: its file, and the editor with the damage painted over."""
    from skimage import data

    from pipeline.corruptions import draw

    title, kind = EXAMPLES[name]
    params = load(MODELS / "restore/params.yaml").corrupt
    image, hole = draw.damage(kind, getattr(data, title)(), np.random.default_rng(1), params, None)
    path = Path(tempfile.mkdtemp(dir=os.environ["GRADIO_TEMP_DIR"])) / f"{title}.png"
    Image.fromarray(image).save(path)
    return str(path), painted_over(preview(image), hole)


def proposed(photo: str | None) -> Editor:
    """The photo with what may be scratches painted over."""
    pixels = opened(photo).pixels_in_8_bits()
    return painted_over(preview(pixels), scratches.detect(pixels))


def painted_over(background: np.ndarray, hole: np.ndarray) -> Editor:
    """What the editor shows: a layer of paint on the background.

    The layer is as large as the canvas, the picture in its corner: Gradio moves a smaller one to the middle.
    """
    height, width = background.shape[:2]
    layer = np.zeros((SHOWN, SHOWN, 4), np.uint8)
    shrunk = Image.fromarray(hole).convert("L").resize((width, height), Image.Resampling.BOX)
    layer[:height, :width][np.asarray(shrunk) > 0] = (255, 0, 255, 255)
    return {"background": background, "layers": [layer], "composite": None}


def restored(restorer: Restorer, photo: str | None, editor: Editor, kind: str, method: str) -> tuple:
    """Before and after for the slider, and the restored file."""
    before = opened(photo)
    hole = painted(editor, before.size)
    pixels = before.pixels()
    if method == GAN:
        result = restorer.restore(pixels, hole, see_through=kind == DAMAGE)
    else:
        from pipeline.quality import baselines

        classical = baselines.telea if method == TELEA else baselines.navier_stokes
        result = classical(before.pixels_in_8_bits(), hole, RADIUS)
        result = scales.as_kind(scales.as_float(result), pixels.dtype)
    after = before.with_restored(result, hole)
    shown = preview(before.pixels_in_8_bits()), preview(after.pixels_in_8_bits())
    return shown, saved(after, photo, method)


def enlarged(enlarger: Restorer, photo: str | None, factor: int) -> tuple:
    """Before (the bicubic filter) and after for the slider, and the enlarged file."""
    before = opened(photo, MOST_PIXELS // factor**2)
    after = before.enlarged(enlarger.enlarge(before.pixels(), factor))
    filtered = Image.fromarray(before.pixels_in_8_bits()).resize(after.size, Image.Resampling.BICUBIC)
    shown = preview(np.asarray(filtered)), preview(after.pixels_in_8_bits())
    return shown, saved(after, photo, f"x{factor}")


def inserted(
    restorer: Restorer, source: str | None, editor: Editor, photo: str | None, across: float, down: float, size: float
) -> tuple:
    """Before and after for the slider, and the file with the object."""
    origin, before = opened(source), opened(photo)
    silhouette = painted(editor, origin.size)
    if origin.size[0] * origin.size[1] * (size / 100) ** 2 > MOST_PIXELS:
        raise UserError(f"the object would be too large; at most {MOST_PIXELS / 1e6:.0f} million pixels, please")
    at = round(across / 100 * before.size[0]), round(down / 100 * before.size[1])
    pixels = before.pixels_in_8_bits()
    result = editing.insert(restorer, pixels, origin.pixels_in_8_bits(), silhouette, at, size / 100)
    in_depth = scales.as_kind(scales.as_float(result), before.pixels().dtype)
    after = before.with_restored(in_depth, (result != pixels).any(axis=-1))
    return (preview(pixels), preview(result)), saved(after, photo, "with-object")


def opened(photo: str | None, most: int = MOST_PIXELS) -> Picture:
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
        return picture.read(path)
    except UserError as error:
        raise UserError(str(error).replace(str(path), path.name)) from None


def painted(editor: Editor | None, size: tuple[int, int]) -> np.ndarray:
    """Where there is paint; bool, at the size (width, height) of the picture itself.

    Raises:
        UserError: nowhere.
    """
    hole = np.zeros((1, 1), bool)
    if editor and editor["background"] is not None:
        height, width = editor["background"].shape[:2]
        for layer in editor["layers"]:  # one that is untouched comes back as large as `painted_over` made it
            hole = hole | (layer[:height, :width, 3] > 127)
    if not hole.any():
        raise UserError("nothing is painted; paint over the damage first")
    return np.asarray(Image.fromarray(hole).convert("L").resize(size, Image.Resampling.NEAREST)) > 0


def preview(pixels: np.ndarray) -> np.ndarray:
    """The picture as the browser gets it."""
    image = Image.fromarray(pixels)
    image.thumbnail((SHOWN, SHOWN))
    return np.asarray(image)


def saved(after: Picture, photo: str | None, how: str) -> str:
    """The file to download: PNG, which keeps what was not painted over bit for bit (TIFF where colours are CMYK)."""
    suffix = ".tif" if after.stored.mode == "CMYK" else ".png"
    folder = Path(tempfile.mkdtemp(dir=os.environ["GRADIO_TEMP_DIR"]))
    path = folder / f"{Path(photo or 'picture').stem}-{how.lower()}{suffix}"
    picture.write(after, path)
    return str(path)


if __name__ == "__main__":
    with one_line_errors():
        main(options.model)
