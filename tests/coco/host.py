"""A host of a tiny MS-COCO on 127.0.0.1, with faults on demand."""

import io
import json
import zipfile
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
from PIL import Image

ANNOTATIONS = "/annotations/annotations_trainval2017.zip"
CATEGORIES = ("person", "dog", "cat", "zebra")


class Host(ThreadingHTTPServer):
    """Serves `files`, by path; `faults[path]` are how its next answers go wrong: a status, "cut" or "damaged"."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[int | str]] = defaultdict(list)
        self.asked: list[str] = []
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def serve_coco(self, **datasets: dict) -> None:
        for split, content in datasets.items():
            for entry in content["images"]:
                self.files[f"/{split}/{entry['file_name']}"] = jpeg(entry)
        members = {f"instances_{split}.json": json.dumps(content) for split, content in datasets.items()}
        self.files[ANNOTATIONS] = zipped(members)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Host

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        content = self.server.files.get(self.path)
        fault = self.server.faults[self.path].pop(0) if self.server.faults[self.path] else None
        status = fault if isinstance(fault, int) else 200 if content is not None else 404
        content = content if status == 200 and content else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault == "cut":
            content, self.close_connection = content[: len(content) // 2], True
        self.wfile.write(b"damaged" + content[7:] if fault == "damaged" else content)


def zipped(members: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"annotations/{name}", content)
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
            {"id": number, "image_id": image_id, "category_id": category, "iscrowd": 0, "area": 4.0}
            for number, (image_id, category) in enumerate(shown)
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(CATEGORIES, 1)],
    }
