"""Rosbags in and out through the `rosbags` library: no ROS installation, every image, original stamps."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from hmr_ros.errors import InputError
from hmr_ros.geometry.camera import fit_camera, guess_camera
from hmr_ros.geometry.rotations import quaternion_from_matrix
from hmr_ros.io.calibration import camera_of_info, info_topic, is_rectified
from hmr_ros.io.depth import registered
from hmr_ros.io.depth_messages import DepthMatching, ImagePeriod, decode_depth, frame_problem
from hmr_ros.io.encodings import DEPTH_ENCODINGS, MAX_PIXELS, Fallback, decode_image, stamp_ns
from hmr_ros.io.model_store import share_file
from hmr_ros.io.recordings import cure, recordings
from hmr_ros.io.results import made_folder
from hmr_ros.types import MESSAGE_ARRAYS, Camera, Floats, Frame, GravitySource, Human, Image, PelvisState, WorldState

_IMAGE, _COMPRESSED, _INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"
_MESSAGES = ("Human", "HumanArray")
_FIRST_IMAGES = 10  # that say how long a frame is
_GUESS = "the focal length is guessed; give --camera"
_log = logging.getLogger(__name__)


class BagImages:
    """Frames of one image topic of a bag, in order of recording; use as a context manager.

    Intrinsics are those of `camera`, or those recorded last on the camera_info beside the topic; where there are none
    that can be used the focal length is guessed, with a warning. Images that cannot be decoded are left out, with a
    warning. `rectified` is input.rectified; `fallback` decodes encodings that are not in our own table. Images of more
    than `max_pixels` are left out too. A frame has the depth of `depth_topic` whose stamp is
    nearest, if that is within half a frame; `without_depth` counts the others.
    """

    def __init__(
        self, path: Path, topic: str | None = None, *, camera: Camera | None = None, rectified: str = "auto",
        fallback: Fallback | None = None, depth_topic: str | None = None, max_pixels: int = MAX_PIXELS,
    ) -> None:  # fmt: skip
        self._warned: set[str] = set()
        self._reader = opened_bag(path, self._warn)
        self._path, self._given, self._fallback, self._max_pixels = path, camera, fallback, max_pixels
        try:
            self._depths = self._choose_depth(depth_topic) if depth_topic else []
            self._connections = self._choose(topic, depth_topic)
        except InputError:
            self._reader.close()
            raise
        self.topic: str = self._connections[0].topic
        self.count: int = sum(c.msgcount for c in self._connections)
        self.frame_id = "camera"
        self.without_depth = 0
        self.left_out: Counter[str] = Counter()  # images that could not be read, by reason
        self._rectified = is_rectified(self.topic, rectified)
        wanted = info_topic(self.topic)
        self._infos = []
        if camera is None:
            self._infos = [c for c in self._reader.connections if c.msgtype == _INFO and c.topic == wanted]
            if not self._infos:
                self._warn(f"{path} has no {wanted}; {_GUESS}")

    @property
    def skipped(self) -> int:
        """Images that could not be read."""
        return self.left_out.total()

    def __enter__(self) -> BagImages:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def __iter__(self) -> Iterator[Frame]:
        """Frames with the stamp of their header. InputError where the bag breaks off, or depth is not registered."""
        if not self._depths:
            yield from (item for item in self._recorded() if isinstance(item, Frame))
            return
        matching = DepthMatching(self._period())
        for item in self._recorded():
            if isinstance(item, Frame):
                matching.frame(item)
            else:
                matching.depth(*item)
            yield from (self._with_depth(*pair) for pair in matching.matched())
        yield from (self._with_depth(*pair) for pair in matching.matched(end=True))

    def _recorded(self) -> Iterator[Frame | tuple[int, Any]]:
        """Frames, and depth messages with their stamps, in order of recording."""
        info, index = self._first(self._infos), 0
        messages = self._messages([*self._connections, *self._infos, *self._depths])
        while True:
            try:
                connection, stamp, message = next(messages)
            except StopIteration:
                return
            except Exception as error:
                raise InputError(f"bag {self._path} breaks off after {index} images: {one_line(error)}") from error
            if connection.msgtype == _INFO:
                info = message
                continue
            if connection in self._depths:
                yield stamp, message
                continue
            image = self._decoded(message)
            if image is not None:
                self.frame_id = str(getattr(message.header, "frame_id", ""))
                yield Frame(index, stamp, image, self._camera(info, image))
                index += 1

    def _period(self) -> ImagePeriod:
        """Known from the first images already; where the bag is damaged, that is reported where they are read."""
        period = ImagePeriod()
        with contextlib.suppress(Exception):
            for _, stamp, _ in itertools.islice(self._messages(self._connections), _FIRST_IMAGES):
                period.image(stamp)
        return period

    def _with_depth(self, frame: Frame, message: Any | None) -> Frame:
        depth = None
        if message is not None:
            try:
                with _as_defined():
                    if problem := frame_problem(message.header.frame_id, self.frame_id):
                        self._warn(problem)
                    depth = decode_depth(message, self._max_pixels)
            except InputError as error:
                self._warn(f"depth left out: {error}")
        if depth is None:
            self.without_depth += 1
            return frame
        height, width = frame.image.shape[:2]
        return replace(frame, depth=registered(depth, width, height, f"depth of {self._depths[0].topic}"))

    def _messages(self, connections: list[Any]) -> Iterator[tuple[Any, int, Any]]:
        """(connection, stamp, message) in order of recording; a header without stamp has that of the record."""
        for connection, recorded, raw in self._reader.messages(connections=connections):
            message: Any = self._reader.deserialize(raw, connection.msgtype)
            stamp = stamp_ns(message.header.stamp)
            if not stamp and connection.msgtype != _INFO:
                self._warn(f"headers on {connection.topic} have no stamp: the time of recording is taken")
            yield connection, stamp or recorded, message

    def _first(self, infos: list[Any]) -> Any:
        """The first CameraInfo, for images that were recorded before it; None where there is none."""
        try:
            return next(self._messages(infos))[2] if infos else None
        except Exception:  # a damaged record is reported where the images are read
            return None

    def _decoded(self, message: Any) -> Image | None:
        try:
            with _as_defined():
                return decode_image(message, self._fallback, self._max_pixels)
        except InputError as error:
            self.left_out[str(error)] += 1
            self._warn(f"image left out: {error}")
            return None

    def _camera(self, info: Any, image: Image) -> Camera:
        height, width = image.shape[:2]
        try:
            if self._given is not None:
                return fit_camera(self._given, width, height)
            if info is not None:
                with _as_defined():
                    self._compare_frames(info.header.frame_id)
                    return camera_of_info(info, self._rectified, width, height)
        except InputError as error:
            self._warn(f"{self._path}: {error}; {_GUESS}")
        return guess_camera(width, height)

    def _compare_frames(self, of_info: str) -> None:
        if of_info and self.frame_id and of_info != self.frame_id:
            self._warn(f"CameraInfo is of frame '{of_info}', the image of '{self.frame_id}': is it this camera's?")

    def _warn(self, text: str) -> None:
        """Every warning once: what is wrong with one image is wrong with most."""
        if text not in self._warned:
            self._warned.add(text)
            _log.warning("%s", text)

    def _image_connections(self) -> list[Any]:
        return [c for c in self._reader.connections if c.msgtype in (_IMAGE, _COMPRESSED)]

    def _choose_depth(self, topic: str) -> list[Any]:
        images = self._image_connections()
        depths = [c for c in images if c.topic == topic]
        if not depths:
            names = sorted({c.topic for c in images})
            raise InputError(f"bag {self._path} has no depth topic {topic}; it has {', '.join(names) or 'no images'}")
        return depths

    def _choose(self, topic: str | None, depth_topic: str | None) -> list[Any]:
        """The connections of one image topic; a topic that was recorded from two publishers has two."""
        images = [c for c in self._image_connections() if c.topic != depth_topic]
        names = sorted({c.topic for c in images})
        if topic is not None:
            images = [c for c in images if c.topic == topic]
        if not images:
            wanted = f"no image topic {topic}" if topic else "no image topic"
            raise InputError(f"bag {self._path} has {wanted}; it has {', '.join(names) or 'no images at all'}")
        if len(names) > 1 and topic is None:
            images = self._only_colour(images)
            if len({c.topic for c in images}) > 1:
                raise InputError(
                    f"bag {self._path} has several image topics; choose one with --topic: {', '.join(names)}"
                )
            self._warn(f"{images[0].topic} is taken of {', '.join(names)}; --topic takes another")
        return images

    def _only_colour(self, images: list[Any]) -> list[Any]:
        """Without depth, and without the compressed copy of a topic that is there."""
        names = {c.topic for c in images}
        images = [c for c in images if c.topic.removesuffix("/compressed") not in names - {c.topic}]
        found = [c for c in images if not self._is_depth(c)]
        return found or images

    def _is_depth(self, connection: Any) -> bool:
        try:
            message = next(self._messages([connection]))[2]
        except Exception:  # StopIteration: an empty topic; damage is reported where images are read
            return False
        encoding = str(getattr(message, "encoding", "") or getattr(message, "format", ""))
        return "compressedDepth" in encoding or encoding.strip().lower() in DEPTH_ENCODINGS


class HumanBagWriter:
    """A new rosbag2 bag (sqlite3) with one HumanArray a frame on /hmr/humans."""

    TOPIC = "/hmr/humans"

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise InputError(f"{path} exists already; give a new folder for the bag")
        self._types = get_typestore(Stores.ROS2_JAZZY)
        for name in _MESSAGES:
            text = share_file(f"msg/{name}.msg").read_text(encoding="utf-8")
            self._types.register(get_types_from_msg(text, f"hmr_ros/msg/{name}"))
        made_folder(path.absolute().parent)
        self._path = path
        self._writer = Writer(path, version=8, storage_plugin=StoragePlugin.SQLITE3)
        self._writer.open()
        kind = self._types.types["hmr_ros/msg/HumanArray"].__msgtype__
        self._connection = self._writer.add_connection(self.TOPIC, kind, typestore=self._types)

    def __enter__(self) -> HumanBagWriter:
        return self

    def __exit__(self, *_: object) -> None:
        with self._explained():
            self._writer.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # OSError, and what sqlite raises on a full disk
            raise InputError(f"cannot write bag {self._path}: {one_line(error)}; check the disk space") from error

    def write(self, humans: list[Human], stamp_ns: int, frame_id: str) -> None:
        """Append the people of one frame."""
        t = self._types.types
        time = t["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        header = t["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)
        message = t["hmr_ros/msg/HumanArray"](header=header, humans=[self._human(h) for h in humans])
        with self._explained():
            self._writer.write(self._connection, stamp_ns, self._types.serialize_cdr(message, message.__msgtype__))

    def _human(self, human: Human) -> Any:
        t = self._types.types
        x0, y0, x1, y1 = (max(0, round(float(v))) for v in human.boxes_xyxy)
        box = t["sensor_msgs/msg/RegionOfInterest"](
            x_offset=x0, y_offset=y0, height=max(0, y1 - y0), width=max(0, x1 - x0), do_rectify=False
        )
        arrays = {n: np.asarray(getattr(human, n), np.float32).reshape(-1) for n in MESSAGE_ARRAYS}
        pose, velocity = self._pelvis(human)
        return t["hmr_ros/msg/Human"](
            track_id=human.track_id, score=float(human.score), bbox=box, body_model=human.body_model,
            tracking_state=int(human.state), id=f"p{human.track_id}", scale_source=int(human.scale),
            k=human.K.reshape(-1), pelvis=pose, pelvis_velocity=velocity, **self._world(human), **arrays,
        )  # fmt: skip

    def _world(self, human: Human) -> dict[str, Any]:
        """Fields of the world; without one, no gravity source and zeros."""
        world = human.world
        if world is None:
            world = WorldState(
                np.eye(3), np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(4), GravitySource.NONE, 0.0
            )  # fmt: skip
        return {
            "gravity_source": int(world.source), "gravity_sigma": float(world.gravity_sigma),
            "world_frame": world.frame, "camera_world": self._pose(world.R_world_camera, world.t_world_camera),
            "root_world": self._pose(world.body_axes, world.root),
            "root_velocity": self._types.types["geometry_msgs/msg/Vector3"](*world.velocity.tolist()),
            "contacts": np.asarray(world.contacts, np.float32),
        }  # fmt: skip

    def _pose(self, rotation: Floats, position: Floats) -> Any:
        t = self._types.types
        w, x, y, z = quaternion_from_matrix(rotation).tolist()
        point = t["geometry_msgs/msg/Point"](*position.tolist())
        return t["geometry_msgs/msg/Pose"](point, t["geometry_msgs/msg/Quaternion"](x, y, z, w))

    def _pelvis(self, human: Human) -> tuple[Any, Any]:
        """PoseWithCovariance and TwistWithCovariance; without a `pelvis`, which follows people over time, of zeros."""
        t = {name.rsplit("/", 1)[-1]: kind for name, kind in self._types.types.items() if "geometry_msgs" in name}
        p = human.pelvis
        if p is None:
            p = PelvisState(np.zeros(3), np.eye(3), np.zeros(6), np.zeros((6, 6)), np.zeros((6, 6)))
        pose = self._pose(p.rotation, p.position)
        twist = t["Twist"](t["Vector3"](*p.velocity[:3].tolist()), t["Vector3"](*p.velocity[3:].tolist()))
        return (
            t["PoseWithCovariance"](pose, p.pose_covariance.reshape(-1)),
            t["TwistWithCovariance"](twist, p.velocity_covariance.reshape(-1)),
        )


def opened_bag(path: Path, warn: Callable[[str], None]) -> AnyReader:
    """A reader of the recording at `path`; `warn` gets what is wrong with it. InputError where it cannot be read."""
    if not path.exists():
        raise InputError(f"bag {path} does not exist; give a rosbag2 folder, an .mcap or a ROS 1 .bag")
    try:
        files, repairs = recordings(path)
        reader = AnyReader(files, default_typestore=get_typestore(Stores.ROS2_JAZZY))
        reader.open()
    except InputError:
        raise
    except Exception as error:  # the library raises its own kinds, and others on damaged files
        raise InputError(f"cannot read bag {path}: {one_line(error)}{cure(path)}") from error
    for repair in repairs:
        warn(repair)
    return reader


@contextlib.contextmanager
def _as_defined() -> Iterator[None]:
    """Bags bring their own definitions of messages, and these need not have the fields that ROS gives them."""
    try:
        yield
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"message is not as ROS defines it ({one_line(error)}); is the bag damaged?") from error


def one_line(error: BaseException) -> str:
    """Kind and text of an error."""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no details'}"
