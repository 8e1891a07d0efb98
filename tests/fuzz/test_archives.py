import io
import json
import shutil
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.params import Coco
from pipeline.runtime.errors import UserError
from pipeline.sources.coco import source
from tests.fuzz import COUNTS, inputs
from tests.sources.coco.host import dataset, jpeg, zipped

VAL = dataset(range(100, 104), 60, 40)
PHOTOS = {f"val2017/{image['file_name']}": jpeg(image) for image in VAL["images"]}
ARCHIVES = {
    "zips/val2017.zip": zipped(PHOTOS, zipfile.ZIP_STORED),
    "annotations/annotations_trainval2017.zip": zipped(
        {"annotations/instances_val2017.json": json.dumps(VAL).encode()}, zipfile.ZIP_DEFLATED
    ),
}
HOSTILE = ["../out.jpg", "/out.jpg", "val2017/../../out.jpg", "val2017\\out.jpg", "val2017/", "?", "\\ud800.jpg"]


@st.composite
def damaged(draw, content: bytes) -> bytes:
    """A zip with flipped bytes, a cut end, a cut-out middle, a header's field changed, or bytes before or behind."""
    damage = bytearray(content)
    kind = draw(st.sampled_from(["flips", "cut", "hole", "field", "around"]))
    if kind == "flips":
        for place in draw(st.lists(st.integers(0, len(damage) - 1), min_size=1, max_size=20)):
            damage[place] ^= draw(st.integers(1, 255))
    elif kind == "cut":
        del damage[draw(st.integers(0, len(damage))) :]
    elif kind == "hole":
        start = draw(st.integers(0, len(damage)))
        del damage[start : start + draw(st.integers(1, 5000))]
    elif kind == "field":
        signature = draw(st.sampled_from([b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"]))
        places = [place for place in range(len(damage)) if damage[place : place + 4] == signature]
        offset = draw(st.sampled_from(places)) + draw(st.integers(4, 45))
        field = draw(st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", struct.pack("<I", len(damage))]))
        damage[offset : offset + 4] = field[: len(damage) - offset]
    else:
        damage = draw(st.binary(max_size=300)) + damage + draw(st.binary(max_size=70_000))
    return bytes(damage)


@st.composite
def packed(draw) -> bytes:
    """A good zip of members with some of the right and some hostile names, in any order, method and content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name in draw(st.lists(st.sampled_from([*PHOTOS, *HOSTILE]), max_size=6, unique=True)):
            content = draw(st.sampled_from([PHOTOS.get(name, b"?"), b"", b"\0" * 3_000_000]))
            made.writestr(zipfile.ZipInfo(name), content, draw(st.sampled_from([0, 8, 12])))
    return buffer.getvalue()


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("path", ARCHIVES)
def test_archives_are_read_right_or_refused_in_one_line(path, count):
    @inputs(count)
    @given(damaged(ARCHIVES[path]) | packed())
    def check(content: bytes) -> None:
        folder = Path(tempfile.mkdtemp())
        try:
            for name, good in ARCHIVES.items():
                (folder / "share" / name).parent.mkdir(parents=True)
                (folder / "share" / name).write_bytes(content if name == path else good)
            wish = {"limit": 0, "categories": [], "licenses": [], "min_size": 0, "split": "val2017"}
            coco = Coco(base_url=(folder / "share").as_uri(), **wish)
            try:
                ((name, made, photos),) = source.read(coco, folder / "cache")
                assert (name, made) == ("val2017", VAL)
                assert list(photos) == list(PHOTOS.values())
            except UserError as error:
                assert "\n" not in str(error)
            assert {file.name for file in folder.iterdir()} <= {"share", "cache"}
        finally:
            shutil.rmtree(folder)

    check()
