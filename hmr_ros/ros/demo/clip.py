"""The images of the demo, prepared beforehand: the camera costs no processor time while latency is measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from hmr_ros.body.loading import load_body
from hmr_ros.errors import InputError
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.io.calibration import read_camera
from hmr_ros.io.video import FrameSource, open_source
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import Truth, render_motion
from hmr_ros.synth.scene import look_at
from hmr_ros.types import Camera

_WIDTH, _HEIGHT, _FPS = 640, 480, 30.0
_EYE, _TARGET = np.array([0.3, 1.15, 3.6]), np.array([0.3, 0.95, 0.0])
_MAX_SIDE_PX = 1280  # larger videos are shrunk
_MAX_FRAMES = 900


@dataclass(frozen=True)
class DemoClip:
    """Images on disk, ready to be published in a loop."""

    frames_file: Path  # .npy, uint8 [N,H,W,3] BGR
    count: int
    fps: float
    camera: Camera
    truth: list[Truth] | None  # one an image; None for real video

    def __len__(self) -> int:
        return self.count

    @property
    def intrinsics(self) -> tuple[float, float, float, float]:
        """fx, fy, cx, cy px."""
        K = self.camera.K
        return float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2])


def prepare_clip(out: Path, source: str | None, camera_text: str | None) -> DemoClip:
    """Render the moving person, or read `source` (video file or camera)."""
    file = out / "frames.npy"
    if source is None:
        return _rendered(file)
    return _recorded(file, open_source(source, read_camera(camera_text) if camera_text else None))


def _rendered(file: Path) -> DemoClip:
    body, motion = load_body(), demo_motion(_FPS)
    view = look_at(guess_camera(_WIDTH, _HEIGHT), _EYE, _TARGET)
    count = len(motion.poses)
    frames = _new_file(file, count, _HEIGHT, _WIDTH)
    truth = []
    for i, (image, true) in enumerate(
        tqdm(render_motion(motion, body, view), total=count, unit="frame", desc="render the loop")
    ):
        frames[i] = image
        truth.append(true)
    frames.flush()
    return DemoClip(file, count, _FPS, view.camera, truth)


def _recorded(file: Path, source: FrameSource) -> DemoClip:
    scale = min(1.0, _MAX_SIDE_PX / max(source.width, source.height))
    width, height = round(source.width * scale), round(source.height * scale)
    count = min(source.count or _MAX_FRAMES, _MAX_FRAMES)
    frames = _new_file(file, count, height, width)
    done = 0
    for frame in tqdm(source, total=count, unit="frame", desc="read the video"):
        frames[done] = cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA)
        done += 1
        if done == count:
            break
    source.close()
    frames.flush()
    if not done:
        raise InputError("the source has no frame; give another --source")
    K = source.camera.K.copy()
    K[:2] *= scale
    return DemoClip(file, done, min(source.fps, _FPS), Camera(K, width, height), None)


def _new_file(file: Path, count: int, height: int, width: int) -> Any:
    return np.lib.format.open_memmap(file, "w+", np.uint8, (count, height, width, 3))
