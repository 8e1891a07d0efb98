"""Gradio's image editor, with bounds on what it takes from a stranger."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.base import server

from pipeline.decode import sides
from pipeline.errors import UserError

MOST_BYTES = 8_000_000  # of a layer, as the browser sends it
MOST_LAYERS = 4
WAITING = 20  # layers' sets that have been sent and not been used

class Canvas(gr.ImageEditor):
    """The editor; a picture or layer of more than `canvas_size` is refused before it is decoded."""

    is_template = True  # the page shows it as what it derives from

    def preprocess(self, payload: Any) -> Any:
        """As the editor's, after a look at all headers."""
        if payload is None:
            return None
        kept = self.blob_storage.get(payload.id) if payload.id else payload
        if kept:
            parts = [part for part in (kept.background, *kept.layers, kept.composite) if part is not None]
            if len(parts) > MOST_LAYERS + 2:
                raise gr.Error("too many layers", print_exception=False)
            for part in parts:
                self._check(part)
        return super().preprocess(payload)

    def _check(self, part: Any) -> None:
        try:
            if isinstance(part, bytes):
                width, height = sides(part, "the painting")
            else:
                width, height = sides(Path(part.path).read_bytes(), "the painting")
        except (UserError, OSError):
            raise gr.Error("the painting cannot be read; paint it again", print_exception=False) from None
        if width > self.canvas_size[0] or height > self.canvas_size[1]:
            raise gr.Error(f"the painting has {width} x {height} px; reload the page", print_exception=False)

    @server
    def accept_blobs(self, data: Any) -> None:
        """As the editor's, for few and small parts."""
        index = data.data["index"]
        few = index in {None, "", "null"} or (str(index).isdecimal() and int(index) < MOST_LAYERS)
        if not few or len(data.files[0][1]) > MOST_BYTES:
            raise gr.Error("the painting is too large", print_exception=False)
        while len(self.blob_storage) >= WAITING and data.data["id"] not in self.blob_storage:
            self.blob_storage.pop(next(iter(self.blob_storage)), None)
        super().accept_blobs(data)
    from collections.abc import Callable, Sequence
    from typing import TYPE_CHECKING, Any, Literal

    from gradio.blocks import Block

    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component
