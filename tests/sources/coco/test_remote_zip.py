import io
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.runtime.errors import UserError
from pipeline.sources.coco import remote_zip
from pipeline.sources.coco.cache import Cache
from pipeline.sources.coco.hosts import Damaged, Http
from pipeline.sources.coco.remote_zip import Member
from tests.sources.coco.host import zipped

shared_host = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\.:"), min_size=1, max_size=20)
PHOTOS = {f"val2017/{number}.jpg": bytes([number]) * 50 * number for number in range(1, 6)}


@pytest.fixture
def directory(host, tmp_path) -> Callable[[bytes], dict[str, Member]]:
    def directory(archive: bytes) -> dict[str, Member]:
        host.files["/a.zip"] = archive
        http = Http(host.url)
        return remote_zip.read_directory(http, http.stat("a.zip"), Cache(tmp_path))

    return directory


@st.composite
def zips(draw) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.comment = draw(st.binary(max_size=300))
        for name in draw(st.lists(NAMES, unique=True, min_size=1, max_size=6)):
            info = zipfile.ZipInfo(f"folder/{name}")
            info.compress_type = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
            info.extra = draw(st.sampled_from([b"", b"UT\x05\x00\x01\x00\x00\x00\x00"]))
            with archive.open(info, "w", force_zip64=draw(st.booleans())) as member:
                member.write(draw(st.binary(max_size=200)) * draw(st.sampled_from([0, 1, 100])))
    return buffer.getvalue()


@shared_host
@given(zips())
def test_members_by_range_are_those_that_zipfile_reads(directory, archive):
    with zipfile.ZipFile(io.BytesIO(archive)) as local:
        expected = {name: local.read(name) for name in local.namelist()}
    members = directory(archive)
    assert {name: member.content(archive[member.start : member.end]) for name, member in members.items()} == expected


def test_a_zip_without_members_is_an_empty_directory(directory):
    assert directory(zipped({}, zipfile.ZIP_STORED)) == {}


def test_only_the_end_of_a_zip_is_read_and_only_once(host, directory):
    archive = zipped(PHOTOS, zipfile.ZIP_STORED)
    first, sent = directory(archive), host.sent
    assert sent < len(archive) - max(member.end for member in first.values()) + 100
    assert directory(archive) == first
    assert host.sent == sent


@given(st.integers(0), st.integers(0, 7))
def test_a_bit_that_flips_in_a_member_never_passes(place, bit):
    archive = zipped({"a": bytes(range(256))}, zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(io.BytesIO(archive)) as local:
        (info,), end = local.infolist(), local.start_dir
    member = Member("a", 0, end, info.compress_type, packed=info.compress_size, size=info.file_size, crc=info.CRC)
    extent = bytearray(archive[:end])
    assert member.content(extent) == bytes(range(256))
    extent[place % end] ^= 1 << bit
    assert member.content(extent) in (None, bytes(range(256)))  # a header has bits that say nothing


@pytest.mark.parametrize("name", ["../evil.jpg", "val2017/../../evil.jpg", "/abs.jpg", "val2017\\..\\evil.jpg"])
def test_a_member_that_leaves_its_folder_is_refused_by_name(directory, name):
    with pytest.raises(UserError) as refusal:
        directory(zipped({name: b"evil"}, zipfile.ZIP_STORED))
    assert f"its member {name!r} does not stay inside its folder" in str(refusal.value)


def test_a_bomb_is_refused_by_name(directory):
    with pytest.raises(UserError, match=r"its member 'bomb' is a zip bomb \(50000000 bytes\)"):
        directory(zipped({"bomb": bytes(50_000_000)}, zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_packed_in_another_way_is_refused_by_name(directory, method):
    with pytest.raises(UserError, match=r"its member 'a' is neither stored nor deflated"):
        directory(zipped({"a": b"content"}, method))


def test_an_encrypted_member_is_refused_by_name(directory):
    archive = bytearray(zipped({"a": b"content"}, zipfile.ZIP_STORED))
    archive[archive.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(UserError, match=r"its member 'a' is .*encrypted"):
        directory(bytes(archive))


def test_a_long_name_is_told_in_a_short_line(directory):
    with pytest.raises(UserError, match=r"its member '/xxx.*' does not stay inside") as refusal:
        directory(zipped({"/" + "x" * 60_000: b"content"}, zipfile.ZIP_STORED))
    assert len(str(refusal.value)) < 250


def test_members_that_overlap_are_refused_by_name(directory):
    archive = bytearray(zipped({"a": b"content", "b": b"content"}, zipfile.ZIP_STORED))
    second = archive.rindex(b"PK\x01\x02")
    archive[second + 42 : second + 46] = (5).to_bytes(4, "little")  # APPNOTE 4.3.12: where its local header begins
    with pytest.raises(UserError, match=r"its member 'a' overlaps the next"):
        directory(bytes(archive))


@pytest.mark.parametrize("archive", [b"", b"<html>Please log in</html>", b"PK\x05\x06", bytes(100_000)])
def test_what_is_no_zip_is_damaged(directory, archive):
    with pytest.raises(Damaged, match=r"/a.zip: not a readable zip"):
        directory(archive)


@shared_host
@given(st.integers(0, 10_000))
def test_a_truncated_zip_is_damaged(directory, length):
    archive = zipped(PHOTOS, zipfile.ZIP_STORED)
    with pytest.raises(Damaged):
        directory(archive[: length % len(archive)])


@shared_host
@given(st.integers(0), st.integers(0, 255))
@example(place=6, byte=99)  # a version of the format that zipfile does not know
def test_no_byte_of_a_directory_causes_another_error(directory, place, byte):
    archive = bytearray(zipped(PHOTOS, zipfile.ZIP_STORED))
    start = archive.index(b"PK\x01\x02")
    archive[start + place % (len(archive) - start)] = byte
    try:
        directory(bytes(archive))
    except (Damaged, UserError) as error:
        assert "\n" not in str(error)
