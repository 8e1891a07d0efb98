"""The gate, before an app that keeps the bodies of requests in its folder."""

import asyncio
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from pipeline.commands.app import gate, uploads
from pipeline.runtime.errors import UserError

MB = 2**20


def answers(folder: Path, *requests: dict) -> list[int]:
    """The statuses that requests get which arrive together."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        content = (await receive())["body"]
        await asyncio.sleep(0)
        (folder / scope["path"].strip("/").replace("/", "-")).write_bytes(content)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    guarded = gate.Gate(app, folder, 40 * MB)

    async def answer(number: int, request: dict) -> int:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": bytes(request["size"])}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = request.get("headers", [(b"content-length", str(request["size"]).encode())])
        scope = {"type": "http", "method": "POST", "path": f"/{number}{request['path']}", "headers": headers}
        await guarded(scope, receive, send)
        return sent[0]["status"]

    async def together() -> list[int]:
        return await asyncio.gather(*(answer(number, request) for number, request in enumerate(requests)))

    return asyncio.run(together())


def test_uploads_that_arrive_together_fill_no_more_than_their_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(gate, "MOST_FOR_UPLOADS", 10 * MB)
    upload = {"path": "/gradio_api/upload", "size": 3 * MB}
    assert sorted(answers(tmp_path, *[upload] * 8)) == [200] * 3 + [507] * 5
    assert uploads.stored_bytes(tmp_path) == 9 * MB
    assert answers(tmp_path, upload) == [507]
    next(tmp_path.iterdir()).unlink()
    assert answers(tmp_path, upload) == [200]


def test_many_small_files_are_bounded_too(tmp_path, monkeypatch):
    monkeypatch.setattr(gate, "MOST_FOR_UPLOADS", MB)
    statuses = answers(tmp_path, *[{"path": "/gradio_api/upload", "size": 1}] * 100)
    assert statuses.count(200) == 16


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/gradio_api/upload", 40 * MB, 200),
        ("/gradio_api/upload", 41 * MB, 413),
        ("/gradio_api/queue/join", MB, 200),
        ("/gradio_api/queue/join", 2 * MB, 413),
    ],
)
def test_a_body_is_bounded(tmp_path, path, size, status):
    assert answers(tmp_path, {"path": path, "size": size}) == [status]


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")]])
def test_a_body_of_untold_length_is_refused(tmp_path, headers):
    assert answers(tmp_path, {"path": "/upload", "size": 5, "headers": headers}) == [411]
    assert not list(tmp_path.iterdir())


def test_a_result_for_which_there_is_no_room_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_STORED", 2 * MB)
    (tmp_path / "old.png").write_bytes(bytes(MB))
    uploads.refuse_when_full(tmp_path, MB)
    with pytest.raises(UserError, match="the page is full; try again in ten minutes"):
        uploads.refuse_when_full(tmp_path, MB + 1)
