"""Photoshop's image resources, in which IPTC lies (Adobe Photoshop File Formats Specification, Image Resources)."""

IPTC = 0x0404
THUMBNAILS = {0x0409, 0x040C}  # they would show the picture as it was


def read(packed: bytes) -> dict[int, tuple[bytes, bytes]]:
    """Name and data by number, without thumbnails.

    Raises:
        ValueError: they are damaged.
    """
    found, place = {}, 0
    while packed[place : place + 4] == b"8BIM" and place + 12 <= len(packed):
        number = int.from_bytes(packed[place + 4 : place + 6])
        after_name = place + 6 + (packed[place + 6] + 2) // 2 * 2
        size = int.from_bytes(packed[after_name : after_name + 4])
        data = packed[after_name + 4 : after_name + 4 + size]
        if len(data) < size:
            raise ValueError("a cut image resource")
        if number not in THUMBNAILS:
            found[number] = packed[place + 6 : after_name], data
        place = after_name + 4 + (size + 1) // 2 * 2
    if packed[place:].strip(b"\0"):
        raise ValueError("no image resource")
    return found


def pack(resources: dict[int, tuple[bytes, bytes]]) -> bytes:
    """What `read` was given."""
    return b"".join(
        b"8BIM" + number.to_bytes(2) + name + len(data).to_bytes(4) + data + b"\0" * (len(data) % 2)
        for number, (name, data) in resources.items()
    )
