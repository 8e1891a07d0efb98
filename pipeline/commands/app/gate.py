"""The gate of the page: how much a request may bring, and all uploads together."""

import asyncio
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.commands.app.uploads import FULL, LEAST, MOST_FOR_UPLOADS, stored_bytes

FRAME = 2**16  # bytes: of a form around its file
TEXT = 2**20  # bytes: of a request that brings no file


class Gate:
    """ASGI middleware: it refuses bodies that are too large, and uploads for which the folder has no room.

    Args:
        app: what the other requests go to.
        folder: where uploads are stored.
        most_bytes: of one uploaded file.
    """

    def __init__(self, app: ASGIApp, folder: Path, most_bytes: int) -> None:
        self.app, self.folder, self.most_bytes = app, folder, most_bytes
        self.arriving = 0  # bytes: of the uploads under way
        self.counting = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            return await self.app(scope, receive, send)
        headers, upload = Headers(scope=scope), scope["path"].endswith("/upload")
        length, most = headers.get("content-length", ""), self.most_bytes + FRAME if upload else TEXT
        if not length.isdecimal() or "transfer-encoding" in headers:
            return await PlainTextResponse("say how long the request is", 411)(scope, receive, send)
        if int(length) > most:
            refusal = f"too large; at most {most // 2**20} MB, please"
            return await PlainTextResponse(refusal, 413)(scope, receive, send)
        if not upload:
            return await self.app(scope, receive, send)
        size = max(int(length), LEAST)
        async with self.counting:
            stored = await run_in_threadpool(stored_bytes, self.folder)
            if stored + self.arriving + size > MOST_FOR_UPLOADS:
                return await PlainTextResponse(FULL, 507)(scope, receive, send)
            self.arriving += size
        try:
            await self.app(scope, receive, send)
        finally:
            self.arriving -= size
