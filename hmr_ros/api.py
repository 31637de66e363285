"""The library's front door: images or video in, people as SMPL bodies out, without ROS.

```python
from hmr_ros import HumanMeshRecovery

hmr = HumanMeshRecovery()
people = hmr(image_bgr, K=K)
for frame, people in hmr.track("clip.mp4"):
    ...
```
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hmr_ros.config import HmrConfig, read_config, validated, with_values
from hmr_ros.errors import InputError
from hmr_ros.geometry.camera import fit_camera
from hmr_ros.types import Array, Camera, Frame, Human, Image
from hmr_ros.yaml_files import flattened

if TYPE_CHECKING:
    from jaxtyping import Float

    from hmr_ros.body.model import BodyModel
    from hmr_ros.pipeline import Pipeline
    from hmr_ros.world.live import LiveWorld


@dataclass(frozen=True)
class Person(Human):
    """A `Human` who knows the body that the parameters belong to."""

    body: BodyModel = field(repr=False)

    def vertices(self) -> Float[Array, "V 3"]:
        """Posed surface, metres, camera frame; triangles are `body.faces`."""
        return self.body.vertices(self.global_orient, self.body_pose, self.betas, self.transl)


class HumanMeshRecovery:
    """Human mesh recovery with the settings of config/live.yaml. Not safe to call from several threads at once.

    Networks are loaded on first use. Errors that a user can act on are `hmr_ros.errors.HmrError`s.
    """

    def __init__(self, config: HmrConfig | str | Path | None = None, **settings: Any) -> None:
        """`config`: a configuration or a YAML file; `settings` override it, groups as mappings:
        `HumanMeshRecovery(refine="none", tracker={"max_people": 2})`. Raises ConfigError."""
        base = read_config(config) if isinstance(config, (str, Path)) else config or HmrConfig()
        self.config = validated(with_values(base, dict(flattened(settings))))

    def __call__(
        self,
        image: Image,
        K: Float[Array, "3 3"] | None = None,
        distortion: Float[Array, " D"] | None = None,
        fisheye: bool = False,
        depth: Array | None = None,
    ) -> list[Person]:
        """People in one image [H,W,3] BGR uint8, the most certain first; nobody is remembered.

        `K` in pixels; without it the focal length is guessed (60 degrees across the longer side), and distances scale
        with the guess. `distortion` belongs to K, in OpenCV's order; `fisheye`: its four equidistant terms. `depth`
        [H,W] registered to the image: uint16 millimetres (0 = unknown) or floating-point metres (NaN = unknown).
        Raises InputError.
        """
        from hmr_ros.world.live import LiveWorld

        camera = _camera(K, distortion, fisheye)
        frame = Frame(0, 0, _checked(image), fit_camera(camera, image.shape[1], image.shape[0]))
        if depth is not None:
            from hmr_ros.io.depth import open_depth, with_depth

            (frame,) = with_depth([frame], open_depth([depth]))
        pipeline = self._image_pipeline
        pipeline.reset()
        (result,) = pipeline.results([frame])
        return _people(frame, result.humans, LiveWorld(pipeline.body, self.config))

    def track(
        self,
        source: str | Path | int | Iterable[Image],
        K: Float[Array, "3 3"] | None = None,
        distortion: Float[Array, " D"] | None = None,
        fisheye: bool = False,
        fps: float = 30.0,
        depth: str | Path | Iterable[Array] | None = None,
    ) -> Iterator[tuple[Frame, list[Person]]]:
        """Every frame of `source` with its people, who keep their `track_id` and are refined over time.

        `source`: video file, image, folder of images, camera index, or images [H,W,3] BGR uint8 at `fps`. A file's
        answers wait for `temporal.lag` frames to come; a camera's do not. `depth`: one image for each frame, as a
        folder or video (see `hmr run --depth`) or as arrays as in a call. Raises InputError.
        """
        from hmr_ros.io.depth import FramesWithDepth, open_depth, with_depth
        from hmr_ros.io.video import open_source
        from hmr_ros.world.live import LiveWorld

        camera = _camera(K, distortion, fisheye)
        depths = None if depth is None else open_depth(depth)
        if isinstance(source, (str, Path, int)):
            frames = open_source(str(source), camera, self.config.input.max_pixels)
            if depths is not None:
                frames = FramesWithDepth(frames, depths)
            pipeline = self._pipeline(live=frames.is_live)
            world = LiveWorld(pipeline.body, self.config)
            try:
                for result in pipeline.results(frames):
                    yield result.frame, _people(result.frame, result.humans, world)
            finally:
                frames.close()
            return
        if not 0 < fps < np.inf:
            raise InputError(f"fps is {fps}; give the images' rate, above 0")
        pipeline = self._pipeline(live=False)
        world = LiveWorld(pipeline.body, self.config)
        stamped: Iterable[Frame] = (
            Frame(i, round(i * 1e9 / fps), _checked(image), fit_camera(camera, image.shape[1], image.shape[0]))
            for i, image in enumerate(source)
        )
        if depths is not None:
            depths.check_count(len(source) if isinstance(source, Sized) else None)
            stamped = with_depth(stamped, depths)
        for result in pipeline.results(stamped):
            yield result.frame, _people(result.frame, result.humans, world)

    @cached_property
    def _image_pipeline(self) -> Pipeline:
        return self._pipeline(live=False)

    def _pipeline(self, live: bool) -> Pipeline:
        """A pipeline of its own for every video, so that several may be read at once."""
        from hmr_ros.factory import build_pipeline, offline, with_own_detector

        return build_pipeline(with_own_detector(self.config) if live else offline(self.config))


def _people(frame: Frame, humans: list[Human], world: LiveWorld) -> list[Person]:
    names = [f.name for f in fields(Human)]
    return [Person(**{name: getattr(h, name) for name in names}, body=world.body) for h in world(frame, humans)]


def _camera(K: Any, distortion: Any, fisheye: bool) -> Camera | None:
    """The camera that was given, for images of any size; None: it is guessed."""
    from hmr_ros.io.calibration import camera_of_arrays

    if K is None:
        if distortion is not None:
            raise InputError("distortion belongs to a camera matrix; give K too")
        return None
    return camera_of_arrays(K, distortion, fisheye)


def _checked(image: Any) -> Image:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        kind = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"an image must be a uint8 array [H,W,3] in BGR order, not {kind}; convert it with OpenCV")
    return image
