"""ROS 1 recordings without their index (killed, power lost, copy broken off): the index is made anew.

Layout: http://wiki.ros.org/Bags/Format/2.0. Of the chunk that is cut, all whole messages are kept; nothing is written.
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from hmr_ros.io.spliced_file import Piece, SplicedPath

MAGIC = b"#ROSBAG V2.0\n"
_MESSAGE, _BAG, _INDEX, _CHUNK, _CHUNK_INFO, _CONNECTION = 0x02, 0x03, 0x04, 0x05, 0x06, 0x07
_LARGEST_HEAD = 1 << 16  # bytes; it is padded to 4096
_LARGEST = 1 << 30  # bytes of a chunk that are read


@dataclass
class _Record:
    start: int
    fields: dict[bytes, bytes]
    data: int  # offset and length of its data
    size: int
    raw_fields: bytes

    @property
    def kind(self) -> int:
        return self.fields.get(b"op", b"\xff")[0]

    @property
    def end(self) -> int:
        return self.data + self.size

    def number(self, name: bytes) -> int:
        return int.from_bytes(self.fields.get(name, b""), "little")


@dataclass
class _Chunk:
    """Where a chunk lies and what of each connection is in it: times (ns) and offsets of its messages."""

    start: int
    messages: dict[int, list[tuple[int, int]]] = field(default_factory=dict)


def lacks_end(path: Path) -> bool:
    """Whether this is a ROS 1 recording whose index is missing or lies beyond the end of the file."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return False
        size = file.seek(0, 2)
        head = _read(file, len(MAGIC), size)
        if head is None or head.kind != _BAG or head.end > min(size, _LARGEST_HEAD):
            return False
        at, left = head.number(b"index_pos"), head.number(b"conn_count") + head.number(b"chunk_count")
        while at and left:
            record = _read(file, at, size)
            if record is None or record.end > size:
                break
            at, left = record.end, left - 1
        return not at or left > 0


def mended(path: Path) -> SplicedPath:
    """The whole records of the file with a new index."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        head = _read(file, len(MAGIC), size)
        assert head is not None  # `lacks_end` has read it
        chunks, connections, end = _whole_chunks(file, head.end, size)
        rest, chunk = _rest_of_chunk(file, end, size, connections)
    if chunk is not None:
        chunks.append(chunk)
    index_pos = end + len(rest)
    tail = [connections[k] for k in sorted(connections)] + [_chunk_info(c) for c in chunks]
    values = {b"index_pos": struct.pack("<Q", index_pos), b"conn_count": struct.pack("<I", len(connections)),
              b"chunk_count": struct.pack("<I", len(chunks))}  # fmt: skip
    fields = _fields(head.fields | values)
    room = head.end - len(MAGIC) - 8 - len(fields)  # the head is padded to 4096 bytes
    first = MAGIC + struct.pack("<I", len(fields)) + fields + struct.pack("<I", room) + b" " * room
    pieces: list[Piece] = [first, (head.end, end - head.end), rest, b"".join(tail)]
    return SplicedPath(path, ".bag", pieces)


def _whole_chunks(file: BinaryIO, at: int, size: int) -> tuple[list[_Chunk], dict[int, bytes], int]:
    """Chunks that are followed by their index, records of the connections in them, and where the next one starts."""
    chunks: list[_Chunk] = []
    connections: dict[int, bytes] = {}
    end = at
    while (record := _read(file, at, size)) is not None and record.end <= size and record.kind == _CHUNK:
        chunk, at = _Chunk(record.start), record.end
        while (index := _read(file, at, size)) is not None and index.end <= size and index.kind == _INDEX:
            file.seek(index.data)
            chunk.messages[index.number(b"conn")] = [
                (sec * 10**9 + nsec, offset) for sec, nsec, offset in struct.iter_unpack("<III", file.read(index.size))
            ]
            at = index.end
        if index is None or (index.kind == _INDEX and index.end > size) or not chunk.messages:
            break  # its own index may be cut: it is made anew
        if not chunk.messages.keys() <= connections.keys():
            for inner in _records(_content(file, record, size)):
                if inner.kind == _CONNECTION:
                    connections.setdefault(inner.number(b"conn"), inner.raw_fields)
        chunks.append(chunk)
        end = at
    return chunks, connections, end


def _rest_of_chunk(file: BinaryIO, at: int, size: int, connections: dict[int, bytes]) -> tuple[bytes, _Chunk | None]:
    """The whole messages of the cut chunk at `at` as a new chunk with its index."""
    record = _read(file, at, size)
    if record is None or record.kind != _CHUNK:
        return b"", None
    content = _content(file, record, size)
    chunk, used = _Chunk(at), 0
    for inner in _records(content):
        if inner.kind == _CONNECTION:
            connections.setdefault(inner.number(b"conn"), inner.raw_fields)
        elif inner.kind == _MESSAGE and inner.number(b"conn") in connections:
            sec, nsec = struct.unpack("<II", inner.fields[b"time"])
            chunk.messages.setdefault(inner.number(b"conn"), []).append((sec * 10**9 + nsec, inner.start))
        used = inner.end
    if not chunk.messages:
        return b"", None
    fields = _fields({b"op": bytes([_CHUNK]), b"compression": b"none", b"size": struct.pack("<I", used)})
    out = [_record(fields, content[:used])]
    for conn, messages in chunk.messages.items():
        data = b"".join(struct.pack("<III", *divmod(time, 10**9), offset) for time, offset in messages)
        numbers = {b"ver": 1, b"conn": conn, b"count": len(messages)}
        fields = _fields({b"op": bytes([_INDEX]), **{k: struct.pack("<I", v) for k, v in numbers.items()}})
        out.append(_record(fields, data))
    return b"".join(out), chunk


def _content(file: BinaryIO, record: _Record, size: int) -> bytes:
    """What can be read of a chunk that may be cut."""
    file.seek(record.data)
    data = file.read(min(record.size, size - record.data, _LARGEST))
    compression = record.fields.get(b"compression", b"none")
    try:
        if compression == b"bz2":
            return bz2.BZ2Decompressor().decompress(data, _LARGEST)
        if compression == b"lz4":
            from lz4.frame import LZ4FrameDecompressor

            return bytes(LZ4FrameDecompressor().decompress(data, max_length=_LARGEST))
    except (OSError, RuntimeError, ValueError, EOFError):
        return b""
    return data if compression == b"none" else b""


def _records(content: bytes) -> Iterator[_Record]:
    """The whole records of a chunk's content."""
    at = 0
    while at + 4 <= len(content):
        (length,) = struct.unpack_from("<I", content, at)
        if at + 8 + length > len(content):
            return
        (size,) = struct.unpack_from("<I", content, at + 4 + length)
        record = _parsed(at, content[at + 4 : at + 4 + length], size)
        if record.end > len(content):
            return
        record.raw_fields = content[at : record.end]
        yield record
        at = record.end


def _read(file: BinaryIO, at: int, size: int) -> _Record | None:
    """Head of the record at `at`; None where the file ends inside it. Its data may be cut."""
    file.seek(at)
    head = file.read(4)
    length = int.from_bytes(head, "little")
    if len(head) < 4 or at + 8 + length > size:
        return None
    fields, count = file.read(length), file.read(4)
    return _parsed(at, fields, int.from_bytes(count, "little"))


def _parsed(start: int, raw: bytes, size: int) -> _Record:
    fields, at = {}, 0
    while at + 4 <= len(raw):
        length = int.from_bytes(raw[at : at + 4], "little")
        name, _, value = raw[at + 4 : at + 4 + length].partition(b"=")
        fields[name] = value
        at += 4 + length
    return _Record(start, fields, start + 8 + len(raw), size, b"")


def _fields(values: dict[bytes, bytes]) -> bytes:
    return b"".join(struct.pack("<I", len(k) + 1 + len(v)) + k + b"=" + v for k, v in values.items())


def _record(fields: bytes, data: bytes) -> bytes:
    return struct.pack("<I", len(fields)) + fields + struct.pack("<I", len(data)) + data


def _chunk_info(chunk: _Chunk) -> bytes:
    times = [time for messages in chunk.messages.values() for time, _ in messages]
    first, last = (struct.pack("<II", *divmod(t, 10**9)) for t in (min(times), max(times)))
    fields = _fields({
        b"op": bytes([_CHUNK_INFO]), b"ver": struct.pack("<I", 1), b"chunk_pos": struct.pack("<Q", chunk.start),
        b"start_time": first, b"end_time": last, b"count": struct.pack("<I", len(chunk.messages)),
    })  # fmt: skip
    return _record(fields, b"".join(struct.pack("<II", conn, len(m)) for conn, m in chunk.messages.items()))
