"""`hmr stream`: a file at its own pace, or a camera, as a live stream of one person, without ROS."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

from hmr_ros.body.loading import load_body
from hmr_ros.config import HmrConfig
from hmr_ros.errors import ConfigError, InputError
from hmr_ros.exchange.stream import LiveStream, is_wanted
from hmr_ros.factory import build_pipeline, with_own_detector
from hmr_ros.io.calibration import read_camera
from hmr_ros.io.video import FrameSource, open_source
from hmr_ros.pipeline import Pipeline
from hmr_ros.types import Frame, Result
from hmr_ros.world.live import LiveWorld


def stream(source: str, config: HmrConfig, *, camera_text: str | None, max_frames: int | None) -> int:
    """Stream until the source ends, Ctrl-C or SIGTERM. Frames that come faster than they are answered are left out, as
    in the live node."""
    if not is_wanted(config.stream):
        raise ConfigError("hmr stream needs somebody to stream to: give --sonic tcp://127.0.0.1:5556 or --vmc")
    config = with_own_detector(config)
    frames = open_source(source, read_camera(camera_text) if camera_text else None, config.input.max_pixels)
    if frames.is_image:
        raise InputError(f"'{source}' is one image; hmr stream takes a video, a folder of images or a camera")
    if frames.camera.guessed:
        print(f"no --camera given: focal length guessed as {frames.camera.K[0, 0]:.0f} px (60 degree field of view)")
    with ExitStack() as stack:
        paced = stack.enter_context(closing(PacedFrames(frames)))
        # before the networks are loaded, for readers need a moment to find it
        live = LiveStream(
            config.stream, load_body(config.body or None), lambda text: print(f"warning: {text}"),
            rotate=config.input.rotate,
        )  # fmt: skip
        stack.callback(live.close)
        pipeline = build_pipeline(config)
        _warm(pipeline, paced.first)
        world = LiveWorld(pipeline.body, config)
        answered, interrupted = 0, False
        try:
            for frame in itertools.islice(paced, max_frames):
                _offer(live, world, pipeline.step(frame))
                pipeline.search(frame, defer=paced.has_next)
                answered += 1
            for result in pipeline.finish():
                _offer(live, world, result)
        except KeyboardInterrupt:
            interrupted = True
        live.close(drain=not interrupted)
    print(f"{answered} frames answered, {paced.dropped} left out; {live.statistics}")
    return 130 if interrupted else 0


def _offer(live: LiveStream, world: LiveWorld, result: Result | None) -> None:
    if result is not None:
        live.offer(result.frame.stamp_ns, world(result.frame, result.humans))


def _warm(pipeline: Pipeline, frame: Frame) -> None:
    """Answer a frame for nothing: first inferences are slow."""
    pipeline.step(frame)
    pipeline.search(frame)
    pipeline.reset()


class PacedFrames:
    """A source as a camera: read by a thread at the frames' own times, the newest one given, stamped with the time.

    Iterated once.
    """

    def __init__(self, frames: FrameSource) -> None:
        self._frames, self._reading = frames, iter(frames)
        first = next(self._reading, None)
        if first is None:
            raise InputError("the source has no frames; is the file complete?")
        self.first = first
        self.dropped = 0
        self._slot: Frame | None = None
        self._ended = False
        self._error: Exception | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="hmr_frames", daemon=True)

    def __iter__(self) -> Iterator[Frame]:
        self._thread.start()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._slot is not None or self._ended)
                frame, self._slot = self._slot, None
            if frame is None:
                break
            yield frame
        if self._error is not None:
            raise self._error

    @property
    def has_next(self) -> bool:
        """Whether a frame waits already."""
        return self._slot is not None

    def close(self) -> None:
        """Read no further."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=5.0)
        self._frames.close()

    def _read(self) -> None:
        start_ns, first_ns = time.time_ns(), self.first.stamp_ns
        origin = time.monotonic()
        try:
            for frame in itertools.chain([self.first], self._reading):
                since_ns = frame.stamp_ns - first_ns
                if not self._frames.is_live:
                    self._stop.wait(max(0.0, origin + since_ns * 1e-9 - time.monotonic()))
                if self._stop.is_set():
                    return
                with self._changed:
                    self.dropped += self._slot is not None
                    self._slot = frame if self._frames.is_live else replace(frame, stamp_ns=start_ns + since_ns)
                    self._changed.notify()
        except Exception as error:  # raised where the frames are taken
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()
