"""Gradio's file and image editor, with bounds on what they take from a stranger."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.base import server

from pipeline.images.decode import sides
from pipeline.runtime.errors import UserError

MOST_LAYERS = 4
ADDRESS = ("http://", "https://")


def _uploaded(path: Any) -> Any:
    if str(path).lower().startswith(ADDRESS):
        raise gr.Error("upload the picture; addresses are not fetched", print_exception=False)
    return path


class Photo(gr.File):
    """The file; it is uploaded, not fetched from an address, which would fill the disk past all bounds."""

    is_template = True  # the page shows it as what it derives from

    async def async_move_resource_to_block_cache(self, url_or_file_path: Any) -> str | None:
        """As the file's, but for addresses."""
        return await super().async_move_resource_to_block_cache(_uploaded(url_or_file_path))


class Canvas(gr.ImageEditor):
    """The editor; a picture or layer of more than `canvas_size` is refused before it is decoded."""

    is_template = True

    async def async_move_resource_to_block_cache(self, url_or_file_path: Any) -> str | None:
        """As the editor's, but for addresses."""
        return await super().async_move_resource_to_block_cache(_uploaded(url_or_file_path))

    def preprocess(self, payload: Any) -> Any:
        """As the editor's, after a look at all headers."""
        if payload is None:
            return None
        parts = [part for part in (payload.background, *payload.layers, payload.composite) if part is not None]
        if len(parts) > MOST_LAYERS + 2:
            raise gr.Error("too many layers", print_exception=False)
        for part in parts:
            self._check(part)
        return super().preprocess(payload)

    def _check(self, part: Any) -> None:
        try:
            width, height = sides(Path(part.path).read_bytes(), "the painting")
        except (UserError, OSError):
            raise gr.Error("the painting cannot be read; paint it again", print_exception=False) from None
        if width > self.canvas_size[0] or height > self.canvas_size[1]:
            raise gr.Error(f"the painting has {width} x {height} px; reload the page", print_exception=False)

    @server
    def accept_blobs(self, data: Any) -> None:
        """Refused: it serves editors that are watched while they are painted on, and would hold pictures in memory."""
        raise gr.Error("paintings are uploaded as files", print_exception=False)
