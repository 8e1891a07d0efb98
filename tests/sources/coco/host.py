"""A host of a tiny MS-COCO on 127.0.0.1, laid out as the official one, with faults on demand."""

import io
import json
import re
import zipfile
from collections.abc import Callable, Collection
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

ANNOTATIONS = "/annotations/annotations_trainval2017.zip"
CATEGORIES = ("person", "dog", "cat", "zebra")
CHUNK = 1024  # bytes of a body between two pauses; a client that dies costs some of these


class Host(ThreadingHTTPServer):
    """Serves `files`, by path, over HTTP/1.1 with keep-alive; as a proxy too, whatever the host of the URL.

    Attributes:
        ranges: whether byte ranges are served.
        promised: whether byte ranges are announced although they are not served.
        tagged: whether an ETag comes with a file.
        cut: bytes after which a body breaks off, None for never.
        busy: one in so many requests is answered 503 with this `retry_after`; 0 for none.
        flip: which bit of a body is flipped on the way, by its number, from 1 on, and its length; None for none.
        pause: seconds between two chunks of a body.
        silent: requests after which none is answered any more, None for never.
        stall: bytes after which a body goes no further, while its connection stays open, None for never.
        on_request: called with the number of each request, before it is answered.
        asked: method, path and range of each request.
        sent: bytes of all bodies.
        connections: that were opened.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.files: dict[str, bytes] = {}
        self.promised, self.tagged = False, True
        self.ranges, self.cut, self.busy, self.retry_after, self.pause = True, None, 0, "0", 0.0
        self.silent: int | None = None
        self.stall: int | None = None
        self.flip: Callable[[int, int], int | None] = lambda number, length: None
        self.on_request: Callable[[int], None] = lambda number: None
        self.lock, self.closed = Lock(), Event()
        self.asked: list[tuple[str, str, str]] = []
        self.sent = self.bodies = self.connections = 0
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def serve_coco(self, *, comment: bytes = b"", **datasets: dict) -> None:
        for split, content in datasets.items():
            photos = {f"{split}/{image['file_name']}": jpeg(image) for image in content["images"]}
            self.files |= {f"/{name}": photo for name, photo in photos.items()}
            self.files[f"/zips/{split}.zip"] = zipped(photos, zipfile.ZIP_STORED, comment)
        self.serve_annotations({f"instances_{split}.json": json.dumps(data) for split, data in datasets.items()})

    def serve_annotations(self, files: dict[str, str]) -> None:
        members = {f"annotations/{name}": content.encode() for name, content in files.items()}
        self.files[ANNOTATIONS] = zipped(members, zipfile.ZIP_DEFLATED)

    def process_request(self, *args: object) -> None:
        self.connections += 1
        super().process_request(*args)

    def shutdown(self) -> None:
        self.closed.set()
        super().shutdown()

    def handle_error(self, *args: object) -> None:
        """A client that went away is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Host

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        host, path, asked = self.server, urlsplit(self.path).path, self.headers.get("Range", "")
        with host.lock:
            host.asked.append((self.command, self.path, asked))
            number = len(host.asked)
        host.on_request(number)
        if host.silent is not None and number > host.silent:
            self.close_connection = True
            host.closed.wait()
            return None
        if host.busy and number % host.busy == 0:
            return self._answer(503, b"", {"Retry-After": host.retry_after})
        if path not in host.files:
            return self._answer(404, b"", {})
        content = host.files[path]
        tag = f'"{sha256(content).hexdigest()}"'
        headers = {"ETag": tag} if host.tagged else {}
        if host.ranges or host.promised:
            headers["Accept-Ranges"] = "bytes"
        bounds = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
        if not (host.ranges and bounds and self.headers.get("If-Range", tag) == tag):
            return self._answer(200, content, headers)
        start, end = int(bounds[1]), min(int(bounds[2] or len(content)) + 1, len(content))
        if start >= end:
            return self._answer(416, b"", headers | {"Content-Range": f"bytes */{len(content)}"})
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        return self._answer(206, content[start:end], headers)

    do_HEAD = do_GET

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD" or not body:
            return
        host = self.server
        with host.lock:
            host.bodies += 1
            bit = host.flip(host.bodies, len(body))
        if bit is not None:
            body = bytearray(body)
            body[bit // 8] ^= 1 << bit % 8
        if host.cut is not None and host.cut < len(body):
            body, self.close_connection = body[: host.cut], True
        for start in range(0, len(body), CHUNK):
            if host.stall is not None and start >= host.stall:
                self.close_connection = True
                host.closed.wait()
                return
            piece = body[start : start + CHUNK]
            with host.lock:  # before the client has the piece, and looks
                host.sent += len(piece)
            self.wfile.write(piece)
            if host.pause:
                host.closed.wait(host.pause)


def needed(archive: bytes, names: Collection[str]) -> int:
    """Bytes of a zip that nobody can do without who wants these members: theirs, and its directory."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        infos = sorted(opened.infolist(), key=lambda info: info.header_offset)
        ends = [info.header_offset for info in infos[1:]] + [opened.start_dir]
    extents = [end - info.header_offset for info, end in zip(infos, ends, strict=True) if info.filename in names]
    return sum(extents) + len(archive) - ends[-1]


def zipped(members: dict[str, bytes], method: int, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.comment = comment
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def jpeg(image: dict) -> bytes:
    """A picture that depends on the entry's id alone."""
    pixels = np.random.default_rng(image["id"]).integers(256, size=(image["height"], image["width"], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def dataset(ids: range, width: int = 12, height: int = 8) -> dict:
    """Photos with licenses 1 to 3 in turn; every third shows a person, the next one a dog and a cat."""
    images = [
        {
            "id": image_id,
            "file_name": f"{image_id:012}.jpg",
            "license": image_id % 3 + 1,
            "width": width,
            "height": height,
            "coco_url": f"http://images.cocodataset.org/{image_id}",
        }
        for image_id in ids
    ]
    shown = [(image_id, category) for image_id in ids for category in {0: [1], 1: [2, 3]}.get(image_id % 3, [])]
    return {
        "info": {"year": 2017},
        "licenses": [{"id": number, "name": f"license {number}", "url": f"http://{number}"} for number in (1, 2, 3)],
        "images": images,
        "annotations": [
            {
                "id": number,
                "image_id": image_id,
                "category_id": category,
                "segmentation": [[1.5, 1, 3.5, 1, 3.5, 3, 1.5, 3]],
                "iscrowd": 0,
                "area": 4.0,
            }
            for number, (image_id, category) in enumerate(shown)
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(CATEGORIES, 1)],
    }
