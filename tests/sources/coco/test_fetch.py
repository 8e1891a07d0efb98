import re
import zipfile
from contextlib import suppress

import pytest

from pipeline.runtime.errors import UserError
from pipeline.sources.coco import fetch as fetching
from pipeline.sources.coco import hosts
from pipeline.sources.coco.cache import Cache
from pipeline.sources.coco.fetch import Wanted, fetch
from pipeline.sources.coco.hosts import Http
from pipeline.sources.coco.retry import Unavailable
from tests.conftest import VAL
from tests.sources.coco.host import jpeg, needed, zipped

NAMES = [image["file_name"] for image in VAL["images"]]
PHOTOS = {image["file_name"]: jpeg(image) for image in VAL["images"]}
ZIP = "/zips/val2017.zip"


@pytest.fixture
def bring(coco_host, tmp_path):
    """Fetches some photos of val2017 and returns them; more `entries` make a directory dear."""

    def bring(names: list[str], entries: int = len(NAMES), fault=lambda name, content, checked: "") -> dict[str, bytes]:
        wanted = Wanted(
            archive=ZIP[1:],
            folder="val2017",
            names=names,
            entries=entries,
            most=100_000,
            fault=fault,
            cache=Cache(tmp_path / "val2017"),
            directory_cache=Cache(tmp_path / "directories"),
        )
        fetch(Http(coco_host.url), [wanted])
        return {name: wanted.read(name) for name in names}

    return bring


def gets(host, path: str) -> list[tuple[int, int]]:
    """The ranges asked for."""
    ranges = [asked for method, asked_path, asked in host.asked if (method, asked_path) == ("GET", path)]
    return [tuple(map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", asked).groups())) for asked in ranges]


def of_photos(host) -> list[tuple[int, int]]:
    end = host.files[ZIP].index(b"PK\x01\x02")
    return [bounds for bounds in gets(host, ZIP) if bounds[1] < end]


def test_photos_that_lie_side_by_side_come_in_one_request(bring, coco_host):
    names = NAMES[:3] + NAMES[5:7]
    assert bring(names) == {name: PHOTOS[name] for name in names}
    assert len(of_photos(coco_host)) == 2


def test_a_long_run_is_shared_among_connections(bring, coco_host, monkeypatch):
    monkeypatch.setattr(fetching, "RUN_BYTES", 2 * (3 * max(map(len, PHOTOS.values())),))
    assert bring(NAMES) == PHOTOS
    assert len(of_photos(coco_host)) > 2


def test_connections_are_few_and_kept_however_many_requests_there_are(bring, coco_host, monkeypatch):
    monkeypatch.setattr(fetching, "RUN_BYTES", (1, 1))
    bring(NAMES)
    assert len(of_photos(coco_host)) == len(NAMES)
    assert coco_host.connections <= hosts.CONNECTIONS


def test_few_photos_of_a_big_split_come_one_by_one(bring, coco_host):
    names = NAMES[:2]
    assert bring(names, entries=100_000) == {name: PHOTOS[name] for name in names}
    assert not gets(coco_host, ZIP)
    assert coco_host.sent == sum(len(PHOTOS[name]) for name in names)


def test_where_there_are_no_single_photos_even_few_come_by_range(bring, coco_host):
    coco_host.files = {ZIP: coco_host.files[ZIP]}
    assert bring(NAMES[:1], entries=100_000) == {NAMES[0]: PHOTOS[NAMES[0]]}


def test_where_there_is_no_archive_photos_come_one_by_one(bring, coco_host):
    del coco_host.files[ZIP]
    assert bring(NAMES) == PHOTOS


def test_where_there_are_neither_ranges_nor_single_photos_the_whole_archive_comes(bring, coco_host, capsys):
    coco_host.files, coco_host.ranges = {ZIP: coco_host.files[ZIP]}, False
    assert bring(NAMES[:2]) == {name: PHOTOS[name] for name in NAMES[:2]}
    assert coco_host.sent == len(coco_host.files[ZIP])
    assert "the host serves no byte ranges" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (zipped({"../evil": b"evil"}, zipfile.ZIP_STORED), "refused, its member '../evil' does not stay inside"),
        (
            zipped({f"val2017/{NAMES[0]}": b"x" * 200_000}, zipfile.ZIP_STORED),
            f"refused, val2017/{NAMES[0]} has 200000",
        ),
        (zipped({f"val2017/{NAMES[1]}": b"x"}, zipfile.ZIP_STORED), f"has no val2017/{NAMES[0]}; check download.coco"),
        (b"<html>Please log in</html>", "not a readable zip"),
    ],
    ids=["hostile", "large", "lacking", "page"],
)
def test_a_whole_archive_that_cannot_be_used_is_named_by_its_url(bring, coco_host, content, told):
    coco_host.files, coco_host.ranges = {ZIP: content}, False
    with pytest.raises(UserError, match=f"^{re.escape(coco_host.url + ZIP)}: {re.escape(told)}"):
        bring(NAMES[:1])


def test_a_damaged_photo_in_a_whole_archive_is_named_by_the_url(bring, coco_host):
    coco_host.files, coco_host.ranges = {ZIP: coco_host.files[ZIP]}, False
    with pytest.raises(
        Unavailable, match=rf"^{re.escape(coco_host.url + ZIP)}: {NAMES[0]}: no, {fetching.TRIES} times"
    ):
        bring(NAMES[:1], fault=lambda name, content, checked: "no")


def test_the_plan_says_what_is_there_what_comes_and_where_from(bring, coco_host, capsys):
    bring(NAMES[:2])
    capsys.readouterr()
    coco_host.asked.clear()
    before = coco_host.sent
    bring(NAMES[:2] + NAMES[4:8])
    size = f"{(coco_host.sent - before) / 1e6:.1f} MB"
    assert capsys.readouterr().out == (
        f"val2017: 4 of 6 to fetch, {size} in 1 request, by byte range out of {coco_host.url}{ZIP}\n"
    )


def test_what_was_cut_short_is_taken_up_at_the_byte(bring, coco_host, monkeypatch):
    monkeypatch.setattr(hosts, "RETRY", hosts.RETRY.new(total=0))
    coco_host.cut = 4_000
    names, tries = NAMES[:1], 0
    while True:
        try:
            assert bring(names) == {name: PHOTOS[name] for name in names}
            break
        except Unavailable:
            tries += 1
    assert tries > 3
    assert coco_host.sent <= 1.05 * needed(coco_host.files[ZIP], {f"val2017/{name}" for name in names})


@pytest.mark.parametrize("entries", [len(NAMES), 100_000])
def test_a_file_with_a_fault_is_tried_again_and_then_refused(bring, coco_host, entries):
    def fault(name: str, content: bytes, checked: bool) -> str:
        return "not this one" if name == NAMES[1] else ""

    told = rf"{coco_host.url}/\S+: {NAMES[1]}: not this one, {fetching.TRIES} times; check download.coco"
    with pytest.raises(Unavailable, match=told):
        bring(NAMES[:3], entries, fault)


def test_the_other_files_are_kept_when_one_is_refused(bring, coco_host):
    with pytest.raises(Unavailable):
        bring(NAMES, fault=lambda name, content, checked: "no" if name == NAMES[1] else "")
    before = coco_host.sent
    assert bring(NAMES[:1] + NAMES[2:])
    assert coco_host.sent == before


@pytest.mark.parametrize("entries", [len(NAMES), 100_000])
def test_a_file_that_the_host_lacks_is_named(bring, coco_host, entries):
    with pytest.raises(Unavailable, match=r"val2017/missing.jpg"):
        bring(["missing.jpg", *NAMES[:2]], entries)


def test_nothing_at_the_host_is_named(bring, coco_host):
    coco_host.files.clear()
    with pytest.raises(Unavailable, match=f"{coco_host.url}{ZIP}: not there; check download.coco.base_url"):
        bring(NAMES)


def test_an_archive_that_was_mended_is_read_anew(bring, coco_host):
    mended = coco_host.files[ZIP]
    coco_host.files = {ZIP: zipped({"val2017/other.jpg": b"other"}, zipfile.ZIP_STORED)}
    with pytest.raises(Unavailable):
        bring(NAMES)
    coco_host.files[ZIP] = mended
    assert bring(NAMES) == PHOTOS


# APPNOTE 4.3.12: where the fields of a directory's entry are
@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("flags", 8),
        ("crc", 16),
        ("size", 24),
        ("version", 6),
        ("method", 10),
        ("offset", 42),
        ("name", 50),
    ],
)
def test_a_bit_that_flips_in_the_directory_on_the_way_costs_a_rerun_at_most(bring, coco_host, field, place):
    # the third body is the directory, after two records that say where it is
    coco_host.flip = lambda number, length: 8 * place + 7 if number == 3 else None
    with suppress(UserError):
        bring(NAMES)
    assert bring(NAMES) == PHOTOS


def test_a_host_that_ignores_the_ranges_it_announced_costs_little_more_than_one_that_has_none(bring, coco_host):
    coco_host.ranges, coco_host.promised = False, True
    assert bring(NAMES) == PHOTOS
    assert coco_host.sent < 3 * len(coco_host.files[ZIP])


@pytest.mark.parametrize("entries", [len(NAMES), 100_000])
def test_files_without_a_tag_are_never_pieced_together(bring, coco_host, entries):
    coco_host.tagged, coco_host.cut = False, 20_000
    changes = iter(range(3))

    def changed(number: int) -> None:
        if next(changes, None) is None:
            coco_host.cut = None

    coco_host.on_request = changed
    assert bring(NAMES[:3], entries) == {name: PHOTOS[name] for name in NAMES[:3]}
