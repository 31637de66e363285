"""Pieces of a file and of memory that read as one file: a cut recording with the end that it lacks."""

from __future__ import annotations

import bisect
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

Piece = bytes | tuple[int, int]  # bytes of memory, or (offset, length) of the file


class SplicedPath:
    """Stands for a file of a recording where the `rosbags` library takes a path; nothing is copied."""

    def __init__(self, path: Path, suffix: str, pieces: Sequence[Piece]) -> None:
        """`suffix` says what kind of recording it is."""
        self.path, self.suffix, self._pieces = path, suffix, list(pieces)

    def open(self, _mode: str = "rb") -> BinaryIO:
        """The pieces as a binary file."""
        return io.BufferedReader(_SplicedFile(self.path, self._pieces))

    def exists(self) -> bool:
        """Whether the file is there."""
        return self.path.exists()

    def is_dir(self) -> bool:
        """Always one file."""
        return False

    def __str__(self) -> str:
        return str(self.path)


class _SplicedFile(io.RawIOBase):
    def __init__(self, path: Path, pieces: list[Piece]) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._pieces = [p for p in pieces if (len(p) if isinstance(p, bytes) else p[1])]
        lengths = [len(p) if isinstance(p, bytes) else p[1] for p in self._pieces]
        self._starts = [0, *itertools.accumulate(lengths)]
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._starts[-1]}[whence]
        if base + offset < 0:
            raise OSError(22, "Invalid argument")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._at >= self._starts[-1]:
            return 0
        k = bisect.bisect_right(self._starts, self._at) - 1
        piece, inside = self._pieces[k], self._at - self._starts[k]
        count = min(len(buffer), self._starts[k + 1] - self._at)
        if isinstance(piece, bytes):
            buffer[:count] = piece[inside : inside + count]
        else:
            self._file.seek(piece[0] + inside)
            count = self._file.readinto(buffer[:count])
        self._at += count
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
