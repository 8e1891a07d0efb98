"""The page on which pictures are restored: `make app`.

Uploads lie in a temporary folder, for minutes; the folder goes when the server does. Their sizes, their sum and the
number of pictures that are worked on at once are bounded.
"""

import html
import os
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.commands.app.uploads import refuse_when_full
from pipeline.images.decode import SUFFIXES, sides
from pipeline.inference import image_file, insert, pyramid, scratches
from pipeline.inference.image_file import Picture
from pipeline.inference.restorer import MODELS, Restorer
from pipeline.params import load
from pipeline.runtime.errors import UserError

MOST_BYTES = 40 * 2**20
MOST_PIXELS = 25_000_000
SHOWN = 1024  # px: longest side of what the browser shows and paints on; the file itself is restored
PAINT = "#ff00ff"
ALIKE = 16  # of 255: the most that the editor's picture differs on average from the photo it shows
SWEEP, AGE = 30, 600  # seconds: how often files are looked at, and how old they get
RADIUS = 3  # px: of the classical methods
GAN, TELEA, NAVIER_STOKES = "GAN", "Telea", "Navier-Stokes"
DAMAGE, OBJECT = "damage: what shines through is used, where anything does", "an object: it goes"
PREVIEWS, RESTORATIONS = "previews", "restorations"  # queues: in each of them one picture is worked on at a time
EMPTY = "() => null"
START = "() => [{__type__: 'update', interactive: false}, null, {__type__: 'update', interactive: false, value: null}]"
ACTIVE = "Object({__type__: 'update', interactive: true})"
EXAMPLES = {"scratches": ("chelsea", "scratch"), "stains": ("coffee", "stain"), "paint": ("astronaut", "freeform")}

Editor = dict[str, Any]
"""What Gradio's image editor holds: `background`, `layers` and `composite`, uint8 HWC."""


def main(model: str | None) -> None:
    """Serve the page until it is interrupted."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False"}
        try:
            import gradio as gr
            from starlette.middleware import Middleware

            from pipeline.commands.app.gate import Gate
        except ImportError:
            raise UserError("Gradio is not installed; pip install gradio") from None
        except ValueError as error:
            raise UserError(f"Gradio: {error}; check the environment variables GRADIO_*") from None
        over = threading.Event()
        threading.Thread(target=forget, args=(Path(folder), over), daemon=True).start()
        page = built(Restorer.load(model or MODELS / "restore"), Restorer.load(MODELS / "superres"))
        page.queue(max_size=50, default_concurrency_limit=1, api_open=False)
        page.launch(
            max_file_size=MOST_BYTES,
            app_kwargs={"middleware": [Middleware(Gate, Path(folder), MOST_BYTES)]},
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
    """Delete the files that are older than so many seconds, and the folders that are left empty."""
    for path in sorted(folder.rglob("*"), reverse=True):
        with suppress(OSError):  # deleted meanwhile, or not empty
            if time.time() - path.stat().st_mtime > age:
                path.rmdir() if path.is_dir() else path.unlink()


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
            photo = photograph(gr, "Photo", "photo")
            with gr.Row():
                examples = [gr.Button(f"Example: {name}", size="sm", min_width=80) for name in EXAMPLES]
            editor = canvas(gr, "Paint over the damage", "canvas", photo)
            propose = gr.Button("Propose scratches (a guess: look at it)", size="sm")
            kind = gr.Radio([DAMAGE, OBJECT], value=DAMAGE, label="What is under the paint")
            method = gr.Radio([GAN, TELEA, NAVIER_STOKES], value=GAN, label="Method")
            button = gr.Button("Restore", variant="primary", elem_id="restore")
        with gr.Column(min_width=300):
            results = before_and_after(gr, "restored")
    for name, chosen in zip(EXAMPLES, examples, strict=True):
        shows(gr, chosen.click, partial(example, name), None, [photo, editor], editor)
    shows(gr, propose.click, proposed, photo, editor, editor)
    makes(gr, button, partial(restored, restorer), [photo, editor, kind, method], results, "restore")


def enlarge_tab(gr: Any, enlarger: Restorer) -> None:
    """A photo, twice or four times the size."""
    with gr.Row():
        with gr.Column(min_width=300):
            photo = photograph(gr, "Photo", "small-photo")
            factor = gr.Radio([2, 4], value=2, label="Times")
            button = gr.Button("Enlarge", variant="primary", elem_id="enlarge")
        with gr.Column(min_width=300):
            results = before_and_after(gr, "enlarged")
    makes(gr, button, partial(enlarged, enlarger), [photo, factor], results, "enlarge")


def insert_tab(gr: Any, restorer: Restorer) -> None:
    """An object out of one photo into another."""
    with gr.Row():
        with gr.Column(min_width=300):
            source = photograph(gr, "Photo with the object", "object-photo")
            editor = canvas(gr, "Paint over the object", "object-canvas", source)
        with gr.Column(min_width=300):
            photo = photograph(gr, "Photo to put it into", "target-photo")
            across = gr.Slider(0, 100, 50, label="From the left, %")
            down = gr.Slider(0, 100, 50, label="From the top, %")
            size = gr.Slider(5, 400, 100, label="Size, %")
            button = gr.Button("Insert", variant="primary", elem_id="insert")
            results = before_and_after(gr, "inserted")
    inputs = [source, editor, photo, across, down, size]
    makes(gr, button, partial(inserted, restorer), inputs, results, "insert")


def photograph(gr: Any, label: str, name: str) -> Any:
    """Where a photo is dropped."""
    from pipeline.commands.app.canvas import Photo

    return Photo(label=label, file_types=list(SUFFIXES), height=110, elem_id=name)


def canvas(gr: Any, label: str, name: str, photo: Any) -> Any:
    """Where masks are painted on a photo: on each that is dropped, and anew on the same when it is cleared."""
    from pipeline.commands.app.canvas import Canvas

    brush = gr.Brush(colors=[PAINT], color_mode="fixed", default_size=24)
    layers = gr.LayerOptions(allow_additional_layers=False, disabled=True)
    options = {"sources": (), "transforms": (), "layers": layers, "brush": brush, "format": "png", "elem_id": name}
    editor = Canvas(label=label, canvas_size=(SHOWN, SHOWN), height=420, **options)
    shows(gr, photo.upload, shown_for_painting, photo, editor, editor)
    shows(gr, editor.clear, shown_for_painting, photo, editor, editor)
    photo.clear(None, None, editor, js=EMPTY)
    return editor


def before_and_after(gr: Any, name: str) -> tuple[Any, Any]:
    """The slider, and the file, once there is one."""
    slider = gr.ImageSlider(label="Before and after", interactive=False, elem_id=f"{name}-slider", max_height=600)
    return slider, gr.DownloadButton("Download", interactive=False, elem_id=f"{name}-download")


def shows(gr: Any, event: Callable, function: Callable, inputs: Any, outputs: Any, editor: Any) -> None:
    """On the event, what the function gives for the editor is shown in it.

    The editor is emptied first: Gradio fits a layer into what the last stroke left there, scaled and moved.
    """
    emptied = event(None, None, editor, js=EMPTY)
    emptied.then(told(gr, function), inputs, outputs, concurrency_id=PREVIEWS)


def makes(gr: Any, button: Any, function: Callable, inputs: list, results: tuple[Any, Any], name: str) -> None:
    """On a click, the function's results are shown; until they are there, nothing older can be looked at or had."""
    slider, download = results
    started = button.click(None, None, [button, slider, download], js=START)
    ended = started.then(told(gr, function), inputs, [slider, download], api_name=name, concurrency_id=RESTORATIONS)
    ended.success(None, None, [button, download], js=f"() => [{ACTIVE}, {ACTIVE}]")
    ended.failure(None, None, button, js=f"() => {ACTIVE}")


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
    return painted_over(background, np.zeros(background.shape[:2], bool))


def example(name: str) -> tuple[str, Editor]:
    """A photograph of scikit-image's, damaged: its file, and the editor with the damage painted over."""
    from skimage import data

    from pipeline.corruptions import draw

    title, kind = EXAMPLES[name]
    params = load(MODELS / "restore/params.yaml").corrupt
    image, hole = draw.damage(kind, getattr(data, title)(), np.random.default_rng(1), params, None)
    path = Path(tempfile.mkdtemp(dir=stored())) / f"{title}.png"
    Image.fromarray(image).save(path)
    return str(path), painted_over(preview(image), hole)


def proposed(photo: str | None) -> Editor:
    """The photo with what may be scratches painted over."""
    pixels = opened(photo).pixels_in_8_bits()
    return painted_over(preview(pixels), scratches.detect(pixels))


def painted_over(background: np.ndarray, hole: np.ndarray) -> Editor:
    """What an empty editor shows: a layer of paint on the background.

    The layer is as large as the canvas, the picture in its corner: Gradio moves a smaller one to the middle. It is
    there without paint too: it is where Gradio's history begins, whose first step would else take the photo back.
    """
    refuse_when_full(stored(), 2 * 4 * SHOWN**2)
    height, width = background.shape[:2]
    layer = np.zeros((SHOWN, SHOWN, 4), np.uint8)
    shrunk = Image.fromarray(hole).convert("L").resize((width, height), Image.Resampling.BOX)
    layer[:height, :width][np.asarray(shrunk) > 0] = (255, 0, 255, 255)
    return {"background": background, "layers": [layer], "composite": None}


def restored(restorer: Restorer, photo: str | None, editor: Editor, kind: str, method: str) -> tuple:
    """Before and after for the slider, and the restored file."""
    before = opened(photo)
    hole = painted(editor, before)
    pixels = before.pixels()
    if method == GAN:
        result = restorer.restore(pixels, hole, see_through=None if kind == DAMAGE else False)
    else:
        from pipeline.evaluation import baselines

        classical = baselines.telea if method == TELEA else baselines.navier_stokes
        result = classical(before.pixels_in_8_bits(), hole, RADIUS)
        result = pyramid.as_kind(pyramid.as_float(result), pixels.dtype)
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
    silhouette = painted(editor, origin)
    if origin.size[0] * origin.size[1] * (size / 100) ** 2 > MOST_PIXELS:
        raise UserError(f"the object would be too large; at most {MOST_PIXELS / 1e6:.0f} million pixels, please")
    at = round(across / 100 * before.size[0]), round(down / 100 * before.size[1])
    pixels = before.pixels_in_8_bits()
    result = insert.insert(restorer, pixels, origin.pixels_in_8_bits(), silhouette, at, size / 100)
    in_depth = pyramid.as_kind(pyramid.as_float(result), before.pixels().dtype)
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
        return image_file.read(path)
    except UserError as error:
        raise UserError(str(error).replace(str(path), path.name)) from None


def painted(editor: Editor | None, photo: Picture) -> np.ndarray:
    """Where there is paint on the photo; bool, at the size of the photo itself.

    Raises:
        UserError: nowhere, or it is on another picture.
    """
    shown = preview(photo.pixels_in_8_bits())
    height, width = shown.shape[:2]
    layers = [layer[:height, :width, 3] > 127 for layer in editor["layers"]] if editor else []  # cut: `painted_over`
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


def stored() -> Path:
    """The folder of the uploads and results."""
    return Path(os.environ["GRADIO_TEMP_DIR"])


def saved(after: Picture, photo: str | None, how: str) -> str:
    """The file to download: PNG, which keeps what was not painted over bit for bit (TIFF where colours are CMYK)."""
    suffix = ".tif" if after.stored.mode == "CMYK" else ".png"
    refuse_when_full(stored(), np.asarray(after.stored).nbytes + 2 * 4 * SHOWN**2)
    path = Path(tempfile.mkdtemp(dir=stored())) / f"{Path(photo or 'picture').stem}-{how.lower()}{suffix}"
    image_file.write(after, path)
    return str(path)
