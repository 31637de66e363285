"""MCAP recordings without their end (power lost, disk full, copy broken off): what is whole becomes readable.

Layout: https://mcap.dev/spec. The index that stands at the end of a file is made anew from the chunks before it; of the
chunk that is cut, all whole messages are kept.
"""

from __future__ import annotations

import importlib
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from hmr_ros.io.spliced_file import Piece, SplicedPath

MAGIC = b"\x89MCAP0\r\n"
_MESSAGE, _CHUNK, _MESSAGE_INDEX, _CHUNK_INDEX, _STATISTICS, _DATA_END, _FOOTER = (
    0x05, 0x06, 0x07, 0x08, 0x0B, 0x0F, 0x02,
)  # fmt: skip
_LARGEST_CHUNK = 1 << 30  # bytes; recorders close theirs after about a megabyte


def lacks_end(path: Path) -> bool:
    """Whether this is an MCAP file that ends without footer."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return False
        size = file.seek(0, 2)
        file.seek(max(len(MAGIC), size - len(MAGIC)))
        return file.read() != MAGIC


@dataclass
class _Chunk:
    """A whole chunk: where it lies, and the indexes of its messages that follow it."""

    start: int
    length: int  # of its content
    indexes: dict[int, int] = field(default_factory=dict)  # channel -> offset of its index
    end: int = 0  # of the last index


def mended(path: Path) -> SplicedPath:
    """The whole records of the file with a new end."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        chunks, end = _whole_chunks(file, size)
        rest = _rest_of_chunk(file, end, size)
        entries = [_chunk_index(file, chunk) for chunk in chunks]
    if rest is not None:
        entries.append(rest[1])
    data_end = end + (len(rest[0]) if rest else 0) + 13
    indexed = entries and all(chunk.indexes for chunk in chunks)  # else the records are read in their order
    summary = b"".join([*entries, record(_STATISTICS, bytes(46))]) if indexed else b""
    footer = record(_FOOTER, struct.pack("<QQI", data_end if summary else 0, 0, 0))
    tail = (rest[0] if rest else b"") + record(_DATA_END, bytes(4)) + summary + footer + MAGIC
    pieces: list[Piece] = [(0, end), tail]
    return SplicedPath(path, ".mcap", pieces)


def _whole_chunks(file: BinaryIO, size: int) -> tuple[list[_Chunk], int]:
    """Chunks whose indexes are whole too, and where what follows them starts."""
    chunks: list[_Chunk] = []
    end = len(MAGIC)
    for start, kind, length in _records(file, size):
        if kind in (_DATA_END, _FOOTER) or start + 9 + length > size:
            if kind == _MESSAGE_INDEX and chunks:
                break
            return chunks, end
        end = start + 9 + length
        if kind == _CHUNK:
            chunks.append(_Chunk(start, length))
        elif kind == _MESSAGE_INDEX and chunks:
            file.seek(start + 9)
            chunks[-1].indexes[int.from_bytes(file.read(2), "little")] = start
        if chunks:
            chunks[-1].end = end
    if chunks:  # the file ends with this chunk's indexes: some may lack
        end = chunks.pop().start
    return chunks, end


def _records(file: BinaryIO, end: int) -> Iterator[tuple[int, int, int]]:
    """(offset, kind, length of the content) of records whose head lies before `end`; the last one may be cut."""
    at = len(MAGIC)
    while at + 9 <= end:
        file.seek(at)
        kind, length = struct.unpack("<BQ", file.read(9))
        yield at, kind, length
        at += 9 + length


def record(kind: int, content: bytes) -> bytes:
    """A record of an MCAP file."""
    return struct.pack("<BQ", kind, len(content)) + content


def _chunk_head(file: BinaryIO, start: int) -> tuple[int, int, int, bytes, int]:
    """(first time, last time, bytes uncompressed, compression, bytes compressed) of the chunk at `start`."""
    file.seek(start + 9)
    first, last, uncompressed, _, name = struct.unpack("<QQQII", file.read(32))
    compression = file.read(min(name, 64))
    return first, last, uncompressed, compression, struct.unpack("<Q", file.read(8))[0]


def _chunk_index(file: BinaryIO, chunk: _Chunk) -> bytes:
    first, last, uncompressed, compression, compressed = _chunk_head(file, chunk.start)
    span = first, last, chunk.start, 9 + chunk.length
    index_length = chunk.end - chunk.start - 9 - chunk.length
    return _index_entry(span, chunk.indexes, index_length, compression, (compressed, uncompressed))


def _index_entry(
    span: tuple[int, int, int, int], indexes: dict[int, int], index_length: int, compression: bytes,
    sizes: tuple[int, int],
) -> bytes:  # fmt: skip
    """ChunkIndex of a chunk; `span`: first and last time, offset and length of its record."""
    offsets = b"".join(struct.pack("<HQ", *item) for item in indexes.items())
    content = struct.pack("<QQQQI", *span, len(offsets)) + offsets + struct.pack("<Q", index_length)
    return record(
        _CHUNK_INDEX, content + struct.pack("<I", len(compression)) + compression + struct.pack("<QQ", *sizes)
    )


def _rest_of_chunk(file: BinaryIO, start: int, size: int) -> tuple[bytes, bytes] | None:
    """The whole records of the cut chunk at `start` as a new chunk with indexes, and its ChunkIndex; None where there
    is no whole message."""
    file.seek(start)
    if file.read(1) != bytes([_CHUNK]) or start + 9 + 40 > size:
        return None
    try:
        _, _, _, compression, _ = _chunk_head(file, start)
        content = _decompressors()[compression](file.read(_LARGEST_CHUNK))
    except (KeyError, struct.error, RuntimeError, ValueError, EOFError, OSError):
        return None
    at, messages = 0, dict[int, list[tuple[int, int]]]()
    while at + 9 <= len(content):
        kind, length = struct.unpack_from("<BQ", content, at)
        if at + 9 + length > len(content):
            break
        if kind == _MESSAGE and length >= 22:
            channel, _, time = struct.unpack_from("<HIQ", content, at + 9)
            messages.setdefault(channel, []).append((time, at))
        at += 9 + length
    if not messages:
        return None
    times = [time for entries in messages.values() for time, _ in entries]
    chunk = record(_CHUNK, struct.pack("<QQQIIQ", min(times), max(times), at, 0, 0, at) + content[:at])
    records, indexes = chunk, dict[int, int]()
    for channel, entries in messages.items():
        indexes[channel] = start + len(records)
        data = b"".join(struct.pack("<QQ", *entry) for entry in entries)
        records += record(_MESSAGE_INDEX, struct.pack("<HI", channel, len(data)) + data)
    span = min(times), max(times), start, len(chunk)
    return records, _index_entry(span, indexes, len(records) - len(chunk), b"", (at, at))


def _decompressors() -> dict[bytes, Callable[[bytes], bytes]]:
    """What there is of a cut stream, by compression."""

    def lz4(data: bytes) -> bytes:
        from lz4.frame import LZ4FrameDecompressor

        return bytes(LZ4FrameDecompressor().decompress(data, max_length=_LARGEST_CHUNK))

    def zstd(data: bytes) -> bytes:
        newer = sys.version_info >= (3, 14)  # where it is part of Python
        zstandard = importlib.import_module("compression.zstd" if newer else "backports.zstd")
        return bytes(zstandard.ZstdDecompressor().decompress(data, max_length=_LARGEST_CHUNK))

    return {b"": lambda data: data, b"lz4": lz4, b"zstd": zstd}
