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

from pipeline.commands.app import actions
from pipeline.images.formats import SUFFIXES
from pipeline.inference.detector import SURE, Detector
from pipeline.inference.enlarger import BY_COMPRESSION, FACTORS, Enlarger
from pipeline.inference.model_files import DETECTOR, MODELS, STYLE, ships
from pipeline.inference.restorer import FIDELITY, Restorer
from pipeline.inference.translator import Translator
from pipeline.runtime.errors import UserError

MOST_BYTES = 40 * 2**20
PAINT = "#ff00ff"
SWEEP, AGE = 30, 600  # seconds: how often files are looked at, and how old they get
PREVIEWS, RESTORATIONS = "previews", "restorations"  # queues: in each of them one picture is worked on at a time
EMPTY = "() => null"
HIDDEN = "() => ({__type__: 'update', visible: false})"
START = "() => [{__type__: 'update', interactive: false}, null, {__type__: 'update', interactive: false, value: null}]"
ACTIVE = "Object({__type__: 'update', interactive: true})"


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
        page = build_page(
            Restorer.load(model or MODELS / "restore"),
            [Enlarger.load(model) for model in BY_COMPRESSION],
            Detector.load() if ships(DETECTOR) else None,
            Translator.load() if ships(STYLE) else None,
        )
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


def build_page(
    restorer: Restorer, enlargers: list[Enlarger], detector: Detector | None, translator: Translator | None = None
) -> Any:
    """The page, with its generators, and a detector, in whose place there is a heuristic for scratches."""
    import gradio as gr

    with gr.Blocks(title="Mendline") as page:
        gr.Markdown("# Mendline\nRestore pictures. They are deleted from this server after ten minutes.")
        with gr.Tab("Restore"):
            restore_tab(gr, restorer, detector)
        with gr.Tab("Enlarge"):
            enlarge_tab(gr, enlargers)
        if translator:
            with gr.Tab("Change the look"):
                look_tab(gr, translator)
        with gr.Tab("Insert an object"):
            insert_tab(gr, restorer)
    return page


def restore_tab(gr: Any, restorer: Restorer, detector: Detector | None) -> None:
    """A photo, paint over its damage, before and after."""
    with gr.Row():
        with gr.Column(min_width=300):
            photo = photograph(gr, "Photo", "photo")
            with gr.Row():
                examples = [gr.Button(f"Example: {name}", size="sm", min_width=80) for name in actions.EXAMPLES]
            editor = canvas(gr, "Paint over the damage", "canvas", photo)
            if detector:
                offer_damage(gr, detector, photo, editor)
            else:
                propose = gr.Button("Propose scratches (a guess: look at it)", size="sm")
                on_event(gr, propose.click, actions.propose_scratches, photo, editor, editor)
            kind = gr.Radio([actions.DAMAGE, actions.OBJECT], value=actions.DAMAGE, label="What is under the paint")
            method = gr.Radio([actions.GAN, actions.TELEA, actions.NAVIER_STOKES], value=actions.GAN, label="Method")
            fidelity = gr.Slider(0, 1, FIDELITY, step=0.05, label="Large holes: 0 texture, 1 fidelity")
            button = gr.Button("Restore", variant="primary", elem_id="restore")
        with gr.Column(min_width=300):
            results = before_and_after(gr, "restored")
    for name, chosen in zip(actions.EXAMPLES, examples, strict=True):
        on_event(gr, chosen.click, partial(actions.show_example, name), None, [photo, editor], editor)
    inputs = [photo, editor, kind, method, fidelity]
    on_click(gr, button, partial(actions.restore_photo, restorer), inputs, results, "restore")


def offer_damage(gr: Any, detector: Detector, photo: Any, editor: Any) -> None:
    """What the detector finds, from a threshold on: as paint in the editor, to be corrected, and as a heat map."""
    button = gr.Button("Find the damage", size="sm")
    label, info = "Threshold: lower marks more", "Moved, it marks anew: correct the paint afterwards."
    threshold = gr.Slider(0.05, 0.99, SURE, step=0.01, label=label, info=info, elem_id="threshold")
    heat = gr.Image(visible=False, interactive=False, buttons=[], elem_id="heat")

    def find(*inputs: Any) -> tuple:
        painted, shown, line = actions.find_damage(detector, *inputs)
        return painted, gr.Image(shown, visible=True, label=line)

    for event in (button.click, threshold.release):
        on_event(gr, event, find, [photo, threshold], [editor, heat], editor, RESTORATIONS)
    photo.change(None, None, heat, js=HIDDEN)


def enlarge_tab(gr: Any, enlargers: list[Enlarger]) -> None:
    """A photo, at two, three or four times its size."""
    with gr.Row():
        with gr.Column(min_width=300):
            photo = photograph(gr, "Photo", "small-photo")
            factor = gr.Radio([*FACTORS], value=2, label="Times")
            button = gr.Button("Enlarge", variant="primary", elem_id="enlarge")
        with gr.Column(min_width=300):
            results = before_and_after(gr, "enlarged")
    on_click(gr, button, partial(actions.enlarge_photo, enlargers), [photo, factor], results, "enlarge")


def look_tab(gr: Any, translator: Translator) -> None:
    """A photo in another look, all of it or where it is painted over."""
    with gr.Row():
        with gr.Column(min_width=300):
            photo = photograph(gr, "Photo", "look-photo")
            editor = canvas(gr, "Paint where the look shall change; nothing for everywhere", "look-canvas", photo)
            strength = gr.Slider(0, 1, 1, step=0.05, label="Strength")
            button = gr.Button("Change the look", variant="primary", elem_id="look")
        with gr.Column(min_width=300):
            results = before_and_after(gr, "changed")
    on_click(gr, button, partial(actions.change_look, translator), [photo, editor, strength], results, "look")


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
    on_click(gr, button, partial(actions.place_object, restorer), inputs, results, "insert")


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
    editor = Canvas(label=label, canvas_size=(actions.SHOWN, actions.SHOWN), height=420, **options)
    on_event(gr, photo.upload, actions.show_for_painting, photo, editor, editor)
    on_event(gr, editor.clear, actions.show_for_painting, photo, editor, editor)
    photo.clear(None, None, editor, js=EMPTY)
    return editor


def before_and_after(gr: Any, name: str) -> tuple[Any, Any]:
    """The slider, and the file, once there is one."""
    slider = gr.ImageSlider(label="Before and after", interactive=False, elem_id=f"{name}-slider", max_height=600)
    return slider, gr.DownloadButton("Download", interactive=False, elem_id=f"{name}-download")


def on_event(
    gr: Any, event: Callable, function: Callable, inputs: Any, outputs: Any, editor: Any, queue: str = PREVIEWS
) -> None:
    """On the event, what the function gives for the editor is shown in it.

    The editor is emptied first: Gradio fits a layer into what the last stroke left there, scaled and moved.
    """
    emptied = event(None, None, editor, js=EMPTY)
    emptied.then(user_errors_as_toast(gr, function), inputs, outputs, concurrency_id=queue)


def on_click(gr: Any, button: Any, function: Callable, inputs: list, results: tuple[Any, Any], name: str) -> None:
    """On a click, the function's results are shown; until they are there, nothing older can be looked at or had."""
    slider, download = results
    started = button.click(None, None, [button, slider, download], js=START)
    ended = started.then(
        user_errors_as_toast(gr, function), inputs, [slider, download], api_name=name, concurrency_id=RESTORATIONS
    )
    ended.success(None, None, [button, download], js=f"() => [{ACTIVE}, {ACTIVE}]")
    ended.failure(None, None, button, js=f"() => {ACTIVE}")


def user_errors_as_toast(gr: Any, function: Callable) -> Callable:
    """The function, whose `UserError` becomes a message on the page."""

    @wraps(function)
    def telling(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except UserError as error:
            raise gr.Error(html.escape(str(error)), print_exception=False) from None

    return telling
