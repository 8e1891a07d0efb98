"""What disks, copies and editors do to a file."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import strategies as st

HEADER = 3000  # bytes at either end of a file, where a change says most


@contextmanager
def little_memory(megabytes: int = 500) -> Iterator[None]:
    """What is done inside takes no more of it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < megabytes * 1000


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with some bytes flipped, cut off, blanked, repeated, left out, or put in."""
    near = st.integers(0, min(HEADER, len(content) - 1))
    at = draw(near | near.map(lambda back: len(content) - 1 - back) | st.integers(0, len(content) - 1))
    some = draw(st.binary(min_size=1, max_size=9))
    rest = {
        "flip": bytes([content[at] ^ 1 << draw(st.integers(0, 7))]) + content[at + 1 :],
        "cut": b"",
        "blank": bytes(len(content[at : at + 512])) + content[at + 512 :],
        "repeat": content[at : at + 512] + content[at:],
        "leave out": content[at + len(some) :],
        "put in": some + content[at:],
        "replace": some + content[at + len(some) :],
    }
    return content[:at] + rest[draw(st.sampled_from(sorted(rest)))]
