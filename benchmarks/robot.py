"""A camera in this process that can be made to misbehave, and the node that looks at it."""

import itertools
import signal
import time
from typing import Any

import cv2
import numpy as np
from live_node import LiveNode, Observer
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from visualization_msgs.msg import MarkerArray

from hmr_ros.geometry.camera import guess_camera
from hmr_ros.io.encodings import image_bytes

RATE_HZ = 15.0
FRAME_ID = "camera_optical_frame"
_CHANNELS = {"bgr8": None, "rgb8": cv2.COLOR_BGR2RGB, "mono8": cv2.COLOR_BGR2GRAY, "bgra8": cv2.COLOR_BGR2BGRA,
             "yuv422_yuy2": cv2.COLOR_BGR2YUV_YUY2}  # fmt: skip


class Robot:
    """Shows images to a node."""

    def __init__(
        self, node: LiveNode, observer: Observer, frames: np.ndarray, compressed: bool, simulated: bool
    ) -> None:
        self.node, self.observer, self.frames = node, observer, frames
        self.note = ""  # what else a fault showed
        self._compressed, self._simulated = compressed, simulated
        self._shift_ns = 0  # of stamps, and of simulated time
        self._count = itertools.count()
        self.markers: list[Any] = []
        observer.node.create_subscription(MarkerArray, "/hmr/markers", lambda m: self.markers.extend(m.markers), 10)
        self._clock = observer.node.create_publisher(Clock, "/clock", 1) if simulated else None
        self._open()

    def _open(self) -> None:
        kind = CompressedImage if self._compressed else Image
        node = self.observer.node
        self._images = node.create_publisher(kind, "/camera/image_raw", 2)
        self._infos = node.create_publisher(CameraInfo, "/camera/camera_info", 2)

    def close(self) -> None:
        """Unplug the camera and let the observer go."""
        self._unplug()
        self.observer.node.destroy_node()

    def _unplug(self) -> None:
        self.observer.node.destroy_publisher(self._images)
        self.observer.node.destroy_publisher(self._infos)

    def show(
        self, image: Any = None, *, focal: float = 1.0, encoding: str = "bgr8", message: Any = None,
        stamp_ns: int | None = None,
    ) -> int:  # fmt: skip
        """Publish one image, by default the clip's next, with its CameraInfo; `message` may spoil it. Its stamp."""
        if image is None:
            image = self.frames[next(self._count) % len(self.frames)]
        height, width = image.shape[:2]
        made = self._compressed_image(image) if self._compressed else _raw_image(image, encoding)
        stamp_ns = time.time_ns() + self._shift_ns if stamp_ns is None else stamp_ns
        made.header.stamp.sec, made.header.stamp.nanosec = divmod(stamp_ns, 10**9)
        made.header.frame_id = FRAME_ID
        if message is not None:
            message(made)
        K = guess_camera(max(width, 1), max(height, 1)).K * np.array([[focal, 1, 1], [1, focal, 1], [1, 1, 1]])
        info = CameraInfo(header=made.header, width=width, height=height, distortion_model="plumb_bob", d=[0.0] * 5)
        info.k, info.r, info.p = K.ravel(), np.eye(3).ravel(), np.c_[K, np.zeros(3)].ravel()
        if self._clock is not None:
            self._clock.publish(Clock(clock=made.header.stamp))
        self._infos.publish(info)
        self._images.publish(made)
        return stamp_ns

    def _compressed_image(self, image: Any) -> CompressedImage:
        return CompressedImage(format="jpeg", data=cv2.imencode(".jpg", image)[1].tobytes())

    def good(self, seconds: float, **options: Any) -> None:
        """Images at the camera's rate."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.show(**options)
            self.observer.spin(1 / RATE_HZ)

    def recovery_s(self, timeout_s: float) -> float | None:
        """Seconds of good images until one of them is answered with somebody in it."""
        self.observer.wait(lambda: self._images.get_subscription_count() > 0, 10.0)
        begin, shown = time.time(), set()
        self.observer.answers.clear()
        while time.time() < begin + timeout_s:
            shown.add(self.show())
            self.observer.spin(1 / RATE_HZ)
            for answer in self.observer.answers:
                if answer.people and answer.stamp_ns in shown:
                    return answer.at_s - begin
        return None

    def camera_dies(self) -> None:
        """No image for four seconds."""
        self._unplug()
        self.observer.spin(4.0)
        self._open()

    def shift(self, seconds: float) -> None:
        """Stamps (and simulated time) go on from another time; by real stamps at the end unless time is simulated."""
        self._shift_ns += round(seconds * 1e9)
        self.good(1.5)
        if not self._simulated:
            self._shift_ns = 0

    def repeat_stamp(self) -> None:
        """Twenty images with one stamp."""
        stamp = self.show()
        self.good(1.4, stamp_ns=stamp)

    def resolutions(self) -> None:
        """Half and back, with the CameraInfo that belongs to it."""
        self.good(1.5, image=cv2.resize(self.frames[0], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))

    def encodings(self) -> None:
        """Others than before, each for a while."""
        for encoding in _CHANNELS:
            self.good(0.5, encoding=encoding)

    def large(self, width: int, height: int) -> None:
        """A few images as large as cameras have them, grey where they are not compressed."""
        image = cv2.resize(self.frames[0], (width, height))
        for _ in range(6):
            self.show(image, encoding="mono8")
            self.observer.spin(0.4)

    def nobody(self, seconds: float) -> None:
        """An empty room."""
        empty = np.full_like(self.frames[0], 110)
        self.observer.answers.clear()
        self.good(seconds, image=empty)
        late = [a for a in self.observer.answers if time.time() - a.at_s < seconds / 2]
        self.note = f"{len(self.observer.answers)} answers, {sum(a.people > 0 for a in late)} with somebody"

    def crowd(self) -> None:
        """Five times four people."""
        person = self.frames[0][:, 100:420]
        tile = cv2.resize(person, (256, 270), interpolation=cv2.INTER_AREA)
        image = np.tile(tile, (4, 5, 1))
        self.observer.answers.clear()
        self.good(8.0, image=image)
        self.note = f"up to {max(a.people for a in self.observer.answers)} of 20 tracked"

    def killed(self) -> None:
        """SIGKILL, and a new process; what RViz shows goes by itself."""
        self.markers.clear()
        self.observer.wait(lambda: self.show() and bool(self.markers), 5.0)
        lifetime = self.markers[0].lifetime
        self.node.stop(signal.SIGKILL)
        self.node.start()
        start = time.monotonic()
        self.observer.statuses.clear()
        self.observer.wait(self.observer.is_ready)
        shown_s, ready_s = lifetime.sec + 1e-9 * lifetime.nanosec, time.monotonic() - start
        self.recovery_s(10.0)
        self.observer.statuses.clear()  # those of a node that has not seen an image yet
        self.note = f"markers live {shown_s:.1f} s; ready after {ready_s:.1f} s"

    def worker_fails(self) -> None:
        """Images at which the pipeline of the failing node raises."""
        image = self.frames[0].copy()
        image[0, 0] = 1, 2, 3
        self.good(1.5, image=image)


def _raw_image(image: Any, encoding: str) -> Image:
    code = _CHANNELS[encoding]
    pixels = image if code is None or not image.size else cv2.cvtColor(image, code)
    message = Image(height=image.shape[0], width=image.shape[1], encoding=encoding)
    message.step = pixels.nbytes // max(image.shape[0], 1)
    message.data = image_bytes(np.ascontiguousarray(pixels))
    return message
