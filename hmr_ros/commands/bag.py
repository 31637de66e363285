"""`hmr bag`: a rosbag through the pipeline into a new bag with the result topics."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

from hmr_ros.commands.tracks import TrackTable
from hmr_ros.config import HmrConfig
from hmr_ros.errors import InputError
from hmr_ros.factory import Built, WholeTracks, build_for_files, pipeline_of
from hmr_ros.io.bags import BagImages, HumanBagWriter
from hmr_ros.io.calibration import read_camera
from hmr_ros.methods.contract import Observation
from hmr_ros.perception.pelvis import PelvisMemory
from hmr_ros.pipeline import Pipeline
from hmr_ros.ros.bridge import convert_with_cv_bridge
from hmr_ros.types import Camera, Frame, Human, Result
from hmr_ros.world.live import LiveWorld
from hmr_ros.world.recorded import RecordedGravity
from hmr_ros.world.whole import DepthSamples, Poses, in_world

_REASONS = 3  # that are named at the end


def bag(
    source: Path, target: Path, config: HmrConfig, *, topic: str | None, max_frames: int | None,
    camera_text: str | None = None, quality: bool = False, depth_topic: str | None = None, built: Built | None = None,
    tracks: TrackTable | None = None,
) -> int:  # fmt: skip
    """Process every image of `source`: nothing is dropped, stamps are kept, Ctrl-C keeps what is done.

    `depth_topic`: depth that is registered to the images.
    `quality`: people are found in a first pass and refined with the frames before and after them.
    `built`: what the factory made of the same configuration for another source; `tracks` gets everybody who was found.
    """
    camera = read_camera(camera_text) if camera_text else None
    built = built or build_for_files(config, quality=quality)
    whole, pipeline = built if isinstance(built, WholeTracks) else None, pipeline_of(built)
    bag_images = BagImages(
        source, topic, camera=camera, rectified=config.input.rectified, fallback=convert_with_cv_bridge,
        depth_topic=depth_topic, max_pixels=config.input.max_pixels,
    )  # fmt: skip
    with bag_images as images, RecordedGravity(source, config) as gravity, HumanBagWriter(target) as writer:
        total = images.count if max_frames is None else min(images.count, max_frames)
        frames = tqdm(itertools.islice(images, max_frames), total=total, unit="frame", desc="people")
        session = Session(images, writer, tracks or TrackTable(), pipeline, config, gravity)
        if whole:
            session.refine(frames, whole)
        else:
            session.process(frames)
    why = "; ".join(f"{count} images left out: {reason}" for reason, count in images.left_out.most_common(_REASONS))
    if not session.frames and not session.interrupted:
        raise InputError(f"no image on {images.topic} could be read; {why or 'the topic is empty'}")
    skipped = f", {images.skipped} images left out" if images.skipped else ""
    skipped += f", {images.without_depth} frames without depth" if images.without_depth else ""
    print(f"{session.frames} frames, {session.humans} people found{skipped} -> {target}")
    if why:
        print(why)
    return 130 if session.interrupted else 0


class Session:
    """One bag on its way into another; counts what it writes."""

    def __init__(
        self, images: BagImages, writer: HumanBagWriter, tracks: TrackTable, pipeline: Pipeline, config: HmrConfig,
        gravity: RecordedGravity,
    ) -> None:  # fmt: skip
        self._pipeline, self._config = pipeline, config
        self.frames = self.humans = 0
        self.interrupted = False
        self._images, self._writer, self._tracks, self._gravity = images, writer, tracks, gravity
        self._poses: Poses = {}
        self._follow = PelvisMemory(searching_s=-1.0)  # pelvis and velocity of those who were seen, nobody else

    def process(self, frames: Iterable[Frame]) -> None:
        """Write the answer to every frame; however this ends, so are those that still wait."""
        world = LiveWorld(self._pipeline.body, self._config)
        try:
            for result in self._pipeline.results(self._with_poses(frames)):
                self._answer(result, world)
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            for result in self._pipeline.finish():
                self._answer(result, world)

    def _with_poses(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames, after what the bag says of the camera at each was looked up."""
        for frame in frames:
            pose, known = self._gravity.pose(self._images.frame_id, frame.stamp_ns)
            if known:
                self._poses[frame.index] = pose
            yield frame

    def _answer(self, result: Result, world: LiveWorld) -> None:
        frame, humans = result.frame, result.humans
        if frame.index in self._poses:
            humans = world(frame, humans, self._poses.pop(frame.index))
        self._write(humans, frame.stamp_ns, frame.camera)

    def refine(self, frames: Iterable[Frame], whole: WholeTracks) -> None:
        """Observe every frame, refine everybody together, then write."""
        observed: list[Observation] = []
        depths = DepthSamples()
        stamps: dict[int, tuple[int, Camera]] = {}  # by frame
        try:
            for frame in self._with_poses(frames):
                observed += whole.pipeline.observe(frame)
                depths.add(frame)
                stamps[frame.index] = frame.stamp_ns, frame.camera
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            people: dict[int, list[Human]] = {index: [] for index in stamps}
            refined = self._refined(observed, whole)
            if stamps:
                camera = stamps[min(stamps)][1]
                refined = in_world(refined, whole.pipeline.body, camera, self._config, depths, self._poses)
            for human in refined:
                people[human.frame].append(human)
            for index, humans in people.items():
                self._write(humans, *stamps[index])

    def _refined(self, observed: list[Observation], whole: WholeTracks) -> list[Human]:
        """Everybody refined together; interrupted, as they were found."""
        try:
            return whole.refine(observed)
        except KeyboardInterrupt:
            self.interrupted = True
            return [whole.pipeline.humans([p], [p.estimate])[0] for p in observed]

    def _write(self, humans: list[Human], stamp_ns: int, camera: Camera) -> None:
        self._writer.write(self._follow(stamp_ns, humans, camera), stamp_ns, self._images.frame_id)
        self.frames += 1
        self.humans += len(humans)
        self._tracks.frames += 1
        self._tracks.add(humans)
