"""The overlay of a run: drawn and encoded here, or in a process of its own that the run hands images to."""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from hmr_ros.body.loading import load_body
from hmr_ros.errors import HmrError
from hmr_ros.io.video import VideoWriter, save_image
from hmr_ros.types import Frame, Human, Image
from hmr_ros.view.overlay import draw_humans

_SLOTS = 3  # images that are under way to the other process
_DIED = "the process that draws the overlay has died, of lack of memory or for what it says above; try --no-overlay"


@dataclass(frozen=True)
class Style:
    """What is drawn where; can be sent to another process."""

    out: Path  # folder
    fps: float
    image_bytes: int  # of most images
    is_image: bool  # overlay.png instead of overlay.mp4
    body: str  # file of the body that the people have, empty: the open one
    uncertainty: str  # `config.UNCERTAINTY`


class Drawing(Protocol):
    """Takes the frames of one source in order."""

    def write(self, frame: Frame, humans: list[Human]) -> None:
        """The next frame with its people; an error of an earlier one may come out here."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


def open_drawing(style: Style, *, overlap: bool) -> Drawing:
    """`overlap`: in a process of its own, for drawing is thousands of short calls that would take turns with the
    threads of the run."""
    return _Elsewhere(style) if overlap and not style.is_image else _Here(style)


class _Here:
    """Draws and encodes in `write`."""

    def __init__(self, style: Style) -> None:
        self._style, self._body = style, load_body(style.body or None)
        self._video = None if style.is_image else VideoWriter(style.out / "overlay.mp4", style.fps, for_browsers=True)

    def write(self, frame: Frame, humans: list[Human]) -> None:
        """As in `Drawing`."""
        self.encode(self.drawn(frame.image, humans), frame.stamp_ns)

    def drawn(self, image: Image, humans: list[Human]) -> Image:
        """A new image."""
        return draw_humans(image, humans, self._body, uncertainty=self._style.uncertainty)

    def encode(self, image: Image, stamp_ns: int) -> None:
        """Append it."""
        if self._video is not None:
            self._video.write_at(image, stamp_ns)
        else:
            save_image(self._style.out / "overlay.png", image)

    def finish(self) -> str:
        """Finish the file; what makes it play in browsers, in words."""
        video, self._video = self._video, None
        if video is None:
            return ""
        video.close()
        return video.conversion

    def close(self) -> None:
        """As in `Drawing`."""
        said = self.finish()
        if said:
            print(said)


class _Elsewhere:
    """Hands images to a process through memory that both see; waits where it is `_SLOTS` images behind."""

    def __init__(self, style: Style) -> None:
        context = multiprocessing.get_context("spawn")  # not forked: networks have threads
        self._slots = [context.RawArray(ctypes.c_uint8, style.image_bytes) for _ in range(_SLOTS)]
        self._free = list(range(_SLOTS))
        self._error: HmrError | None = None
        self._pipe, theirs = context.Pipe()
        with _deaf_children():
            self._process = context.Process(target=_serve, args=(style, self._slots, theirs), name="overlay")
            self._process.start()
        theirs.close()

    def write(self, frame: Frame, humans: list[Human]) -> None:
        """As in `Drawing`."""
        while not self._free:
            self._free.append(self._received())
        slot, image = self._free.pop(), np.ascontiguousarray(frame.image)
        memory = np.frombuffer(memoryview(self._slots[slot]), np.uint8)
        fits = image.nbytes <= memory.nbytes  # images of a folder may be larger than its first
        if fits:
            memory[: image.nbytes] = image.reshape(-1)
        self._send((slot, image.shape, None if fits else image, humans, frame.stamp_ns))

    def close(self) -> None:
        """As in `Drawing`."""
        if self._pipe.closed:
            return
        try:
            if self._error is None:  # else it has been said, and there is nothing to finish
                self._send(None)
                while not isinstance(said := self._received(), str):
                    pass
                if said:
                    print(said)
        finally:
            self._pipe.close()  # it ends when nobody speaks to it any more
            self._process.join()

    def _send(self, message: Any) -> None:
        try:
            self._pipe.send(message)
        except OSError:  # it has ended, and what it said before tells why
            while True:
                self._received()

    def _received(self) -> Any:
        """Its next answer: a slot that is free again, or words: it has finished."""
        if self._error is None:
            try:
                answer = self._pipe.recv()
            except (EOFError, OSError):
                answer = HmrError(_DIED)
            if not isinstance(answer, HmrError):
                return answer
            self._error = answer
        raise self._error


def _serve(style: Style, slots: list[Any], pipe: Connection) -> None:
    """The other process: draws what comes until there is nothing more, or nobody who sends it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # whoever sends the images decides when they end
    cv2.setNumThreads(1)  # the other cores compute people
    drawing: _Here | None = None
    try:
        drawing = _Here(style)
        while (message := pipe.recv()) is not None:
            slot, shape, image, humans, stamp_ns = message
            if image is None:
                image = np.frombuffer(slots[slot], np.uint8, int(np.prod(shape))).reshape(shape)
            drawn = drawing.drawn(image, humans)
            pipe.send(slot)
            drawing.encode(drawn, stamp_ns)
        pipe.send(drawing.finish())
    except HmrError as error:
        pipe.send(error)
    except (EOFError, OSError):  # nobody is there any more: what is done is kept
        if drawing is not None:
            drawing.finish()


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Ctrl-C, which a terminal sends to all processes, is held back from those that are started meanwhile: they would
    hear it before they can ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
