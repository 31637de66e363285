"""`hmr bag`: a rosbag through the pipeline into a new bag with the result topics."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
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
from hmr_ros.types import Camera, Frame, Human

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
    with bag_images as images, HumanBagWriter(target) as writer:
        total = images.count if max_frames is None else min(images.count, max_frames)
        frames = tqdm(itertools.islice(images, max_frames), total=total, unit="frame", desc="people")
        session = Session(images, writer, tracks or TrackTable())
        if whole:
            session.refine(frames, whole)
        else:
            session.process(frames, pipeline)
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

    def __init__(self, images: BagImages, writer: HumanBagWriter, tracks: TrackTable) -> None:
        self.frames = self.humans = 0
        self.interrupted = False
        self._images, self._writer, self._tracks = images, writer, tracks
        self._follow = PelvisMemory(searching_s=-1.0)  # pelvis and velocity of those who were seen, nobody else

    def process(self, frames: Iterable[Frame], pipeline: Pipeline) -> None:
        """Write the answer to every frame; however this ends, so are those that still wait."""
        try:
            for result in pipeline.results(frames):
                self._write(result.humans, result.frame.stamp_ns, result.frame.camera)
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            for result in pipeline.finish():
                self._write(result.humans, result.frame.stamp_ns, result.frame.camera)

    def refine(self, frames: Iterable[Frame], whole: WholeTracks) -> None:
        """Observe every frame, refine everybody together, then write."""
        observed: list[Observation] = []
        stamps: dict[int, tuple[int, Camera]] = {}  # by frame
        try:
            for frame in frames:
                observed += whole.pipeline.observe(frame)
                stamps[frame.index] = frame.stamp_ns, frame.camera
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            people: dict[int, list[Human]] = {index: [] for index in stamps}
            for human in self._refined(observed, whole):
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
