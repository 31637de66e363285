"""sqlite3 recordings without their end, which SQLite does not open: what is whole becomes readable, as an MCAP file.

Layout: https://www.sqlite.org/fileformat2.html. Rows are taken from the leaves of the tables, wherever the inner pages
are; a message's bytes are not copied but pieces of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rosbags.typesys import Stores, get_typestore

from hmr_ros.io.cut_mcap import MAGIC as MCAP
from hmr_ros.io.cut_mcap import record
from hmr_ros.io.spliced_file import Piece, SplicedPath
from hmr_ros.types import Array

_MAGIC = b"SQLite format 3\0"
_HEADER = 100  # bytes, in the first page
_LEAF = 13  # type of the page of a table that has rows; no page of a row's overflow begins so
_FIRST_TEXT, _FIRST_BLOB = 13, 12  # serial types of columns, then every other number; below are numbers and nothing
_NUMBER_BYTES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)
_SCHEMA, _CHANNEL, _MESSAGE, _DATA_END, _FOOTER, _HEAD = 0x03, 0x04, 0x05, 0x0F, 0x02, 0x01


@dataclass(frozen=True)
class _Row:
    """A row whose bytes are all there."""

    id: int
    columns: tuple[int, ...]  # serial types
    start: int  # of the columns' content in the pieces
    pieces: list[tuple[int, int]]  # (offset, length) in the file


def lacks_end(path: Path) -> bool:
    """Whether this is a SQLite file that is shorter than it says."""
    with path.open("rb") as file:
        head = file.read(_HEADER)
    if len(head) < _HEADER or not head.startswith(_MAGIC) or head[24:28] != head[92:96]:
        return False
    return _page_size(head) * int.from_bytes(head[28:32], "big") > path.stat().st_size


def mended(path: Path) -> SplicedPath:
    """The messages of the file that are whole, in order of recording."""
    data = np.memmap(path, np.uint8, "r")
    topics, definitions, messages = dict[int, tuple[str, str]](), dict[str, str](), list[tuple[int, int, _Row]]()
    for row in _rows(data):
        kinds = row.columns
        if len(kinds) == 4 and kinds[3] >= _FIRST_BLOB and not kinds[3] % 2 and max(kinds[:3]) < _FIRST_BLOB:
            topic, time = _numbers(_content(data, row, 16), kinds[1:3])
            messages.append((time, topic, row))
        elif len(kinds) >= 4 and kinds[0] == 0 and all(kind >= _FIRST_TEXT and kind % 2 for kind in kinds[1:4]):
            texts = _texts(_content(data, row), kinds[1:4])
            if texts[0].startswith("/"):
                topics[row.id] = texts[0], texts[1]
            elif texts[1] == "ros2msg":
                definitions[texts[0]] = texts[2]
    messages.sort(key=lambda message: message[0])
    return SplicedPath(path, ".mcap", list(_as_mcap(topics, definitions, messages)))


def _page_size(head: bytes) -> int:
    size = int.from_bytes(head[16:18], "big")
    return 65536 if size == 1 else size


def _rows(data: Array) -> Iterator[_Row]:
    """Rows of all tables; each page belongs to one row, so that a damaged file gives no more than it holds."""
    page = _page_size(bytes(data[:_HEADER]))
    usable, count = page - int(data[20]), len(data) // max(page, 1)
    if page < 512 or usable < 480 or not count:
        return
    left = len(data)
    for number in np.flatnonzero(data[: count * page].reshape(count, page)[:, 0] == _LEAF):
        start = int(number) * page
        content = bytes(data[start : start + page])
        cells = struct.unpack_from(">H", content, 3)[0]
        for at in struct.unpack_from(f">{min(cells, (page - 8) // 2)}H", content, 8):
            row = _row(data, content, start, at, usable)
            if row is not None:
                left -= sum(length for _, length in row.pieces)
                if left < 0:
                    return
                yield row


def _row(data: Array, content: bytes, start: int, at: int, usable: int) -> _Row | None:
    """The row at `at` of a page with this `content`, which starts at `start`; None where a part of it is missing."""
    try:
        size, at = _varint(content, at)
        id_, at = _varint(content, at)
        pieces = _pieces(data, content, (start, at), size, usable)
        header, first = _varint(content, at)
        columns, end = [], at + header
        while first < end:
            kind, first = _varint(content, first)
            columns.append(kind)
    except IndexError:
        return None
    if pieces is None or first != end or header + sum(_bytes(kind) for kind in columns) != size:
        return None
    return _Row(id_, tuple(columns), header, pieces)


def _pieces(
    data: Array, content: bytes, place: tuple[int, int], size: int, usable: int
) -> list[tuple[int, int]] | None:
    """Where the `size` bytes of a row lie that begins at `place` (page, offset in it); None where some are missing."""
    page, (start, at) = len(content), place
    if size > len(data):
        return None
    least, most = (usable - 12) * 32 // 255 - 23, usable - 35
    here = least + (size - least) % (usable - 4)
    here = size if size <= most else here if here <= most else least
    pieces, left = [(start + at, here)], size - here
    following = int.from_bytes(content[at + here : at + here + 4], "big")
    while left:
        offset = (following - 1) * page
        length = min(left, usable - 4)
        if following < 2 or offset + 4 + length > len(data):
            return None
        pieces.append((offset + 4, length))
        left -= length
        following = int.from_bytes(bytes(data[offset : offset + 4]), "big")
    return pieces if at + here <= page else None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends."""
    value = 0
    for i in range(8):
        byte = data[at + i]
        value = value << 7 | byte & 127
        if byte < 128:
            return value, at + i + 1
    return value << 8 | data[at + 8], at + 9


def _bytes(kind: int) -> int:
    return _NUMBER_BYTES[kind] if kind < _FIRST_BLOB else (kind - 12) // 2


def _content(data: Array, row: _Row, most: int | None = None) -> bytes:
    """The columns' bytes, the first `most` of them."""
    pieces = row.pieces if most is None else row.pieces[:1]
    joined = b"".join(bytes(data[offset : offset + length]) for offset, length in pieces)
    return joined[row.start :][:most]


def _numbers(content: bytes, kinds: tuple[int, ...]) -> list[int]:
    values, at = [], 0
    for kind in kinds:
        size = _NUMBER_BYTES[kind]
        values.append(kind - 8 if kind in (8, 9) else int.from_bytes(content[at : at + size], "big", signed=True))
        at += size
    return values


def _texts(content: bytes, kinds: tuple[int, ...]) -> list[str]:
    texts, at = [], 0
    for kind in kinds:
        texts.append(content[at : at + _bytes(kind)].decode("utf-8", "replace"))
        at += _bytes(kind)
    return texts


def _as_mcap(
    topics: dict[int, tuple[str, str]], definitions: dict[str, str], messages: list[tuple[int, int, _Row]]
) -> Iterator[Piece]:
    """The pieces of an MCAP file without index; topics of a type that nobody describes are left out."""
    known = get_typestore(Stores.ROS2_JAZZY)
    yield MCAP + record(_HEAD, _text("ros2") + _text(""))
    there: dict[int, int] = {}
    for id_, (name, kind) in topics.items():
        if kind not in definitions and kind in known.fielddefs:
            definitions[kind] = known.generate_msgdef(kind, ros_version=2)[0]
        if kind in definitions:
            there[id_] = len(there) + 1
            schema = struct.pack("<H", there[id_]) + _text(kind) + _text("ros2msg") + _text(definitions[kind])
            channel = struct.pack("<HH", there[id_], there[id_]) + _text(name) + _text("cdr") + struct.pack("<I", 0)
            yield record(_SCHEMA, schema) + record(_CHANNEL, channel)
    for time, topic, row in messages:
        if topic in there and time >= 0:
            blob = _bytes(row.columns[3])
            yield struct.pack("<BQHIQQ", _MESSAGE, 22 + blob, there[topic], 0, time, time)
            yield from _last(row.pieces, blob)
    yield record(_DATA_END, bytes(4)) + record(_FOOTER, bytes(20)) + MCAP


def _last(pieces: list[tuple[int, int]], count: int) -> Iterator[Piece]:
    """The last `count` bytes of the pieces."""
    skipped = sum(length for _, length in pieces) - count
    for offset, length in pieces:
        if length > skipped:
            yield offset + skipped, length - skipped
        skipped = max(0, skipped - length)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<I", len(data)) + data
