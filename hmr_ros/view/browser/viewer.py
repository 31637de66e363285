"""Draws the page beside whoever finds the people: never in their way, and only while somebody looks."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType

import cv2
import numpy as np

from hmr_ros.types import Floats, Frame, Human, Image
from hmr_ros.view.browser.page import Page
from hmr_ros.view.browser.playback import Moment, Playback
from hmr_ros.view.skeleton import draw_skeleton, track_color
from hmr_ros.world.gravity import LEVEL

_PERIOD_S = 1 / 30
_IDLE_S = 0.25  # between looks for a browser
_IMAGE_PX = 480  # longer side of the image on the page
_log = logging.getLogger(__name__)


class Viewer:
    """The thread that draws; a context that ends with it."""

    def __init__(self, page: Page) -> None:
        self._page, self._stopped = page, threading.Event()
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)

    def __enter__(self) -> Viewer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join(timeout=2.0)
        self._page.close()

    def wait(self) -> None:
        """Until Ctrl-C."""
        while not self._stopped.wait(1.0):
            pass

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stopped.wait(_PERIOD_S if self._page.is_watched else _IDLE_S):
            now = time.monotonic()
            try:
                self._page.advance(now - last)
                if self._page.is_watched:
                    self._page.update()
            except Exception:  # a browser that leaves while it is drawn to must not end the page for the others
                _log.exception("the page could not be drawn")
            last = now


def moment_of(frame: Frame, humans: list[Human], delay_s: float | None) -> Moment:
    """A frame and its people as they are kept: the image small, with skeletons."""
    camera = frame.camera
    small, scale = smaller(frame.image)
    image = small_jpeg(small, humans, scale)
    R, t = camera_pose(humans)
    return Moment(frame.stamp_ns, humans, camera.K, camera.width, camera.height, R, image, delay_s, t)


def camera_pose(humans: list[Human]) -> tuple[Floats, Floats | None]:
    """R_world_camera [3,3] and t_world_camera [3] m as the first who has a world says, else those of a level camera
    that is nobody knows how high."""
    worlds = (h.world for h in humans if h.world is not None)
    return next(((w.R_world_camera, w.t_world_camera) for w in worlds), (LEVEL, None))


def smaller(image: Image) -> tuple[Image, float]:
    """The image as large as a page needs it, and the factor."""
    scale = min(1.0, _IMAGE_PX / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def small_jpeg(small: Image, humans: list[Human], scale: float) -> bytes:
    """An image of `smaller` with everybody's skeleton."""
    for human in humans:
        points: Floats = human.joints_2d * scale
        draw_skeleton(small, points, track_color(human.track_id))
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def playback_of(moments: list[Moment]) -> Playback:
    """A recording from its beginning."""
    playback = Playback(most=None)
    for moment in moments:
        playback.add(moment)
    playback.seek(0.0)
    return playback
