"""`hmr run`: a video, image, folder or camera through the pipeline into a folder of results, without ROS."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
from tqdm import tqdm

from hmr_ros.commands.drawing import Drawing, Style, open_drawing
from hmr_ros.commands.stages import Line
from hmr_ros.commands.tracks import TrackTable
from hmr_ros.config import HmrConfig
from hmr_ros.errors import InputError
from hmr_ros.factory import Built, WholeTracks, build_for_files, build_pipeline, pipeline_of, with_own_detector
from hmr_ros.io.calibration import read_camera
from hmr_ros.io.depth import FramesWithDepth, open_depth
from hmr_ros.io.results import ResultRecorder, made_folder, save_text
from hmr_ros.io.video import FrameSource, open_source, without_password
from hmr_ros.methods.contract import Observation
from hmr_ros.pipeline import Pipeline
from hmr_ros.runtime.cores import usable_cores
from hmr_ros.types import Frame, Human, Result, Track
from hmr_ros.world.whole import DepthSamples, in_world

_HAND_OVER_S = 0.0005  # after which a thread that computes in Python lets another one


def run(
    source: str, out: Path, config: HmrConfig, *, camera_text: str | None, max_frames: int | None, overlay: bool,
    quality: bool = False, depth: Path | None = None, uncertainty: str = "none", built: Built | None = None,
    tracks: TrackTable | None = None, fast: bool = False, overlap: bool = True,
) -> int:  # fmt: skip
    """Write humans.npz, overlay.mp4 (or .png) and summary.json to `out`; Ctrl-C and SIGTERM keep what is done.

    `uncertainty`: what the overlay shows of it (`config.UNCERTAINTY`). With `hypotheses.count` in the configuration
    they are written too, to hypotheses.npz.
    `depth`: folder, file or 16 bit video with one registered depth image for each frame.
    `quality`: people are found in a first pass, refined with the frames before and after them, and drawn in a second.
    `fast`: a file with the networks and the lag of the live node.
    `overlap`: reading, people, recovery and overlay work at the same time; else in turn, with the same results.
    `built`: what the factory made of the same configuration for another source; `tracks` gets everybody who was found.
    """
    camera = read_camera(camera_text) if camera_text else None
    frames = open_source(source, camera, config.input.max_pixels)
    if depth is not None:
        frames = FramesWithDepth(frames, open_depth(depth))
    if quality and frames.is_live:
        raise InputError("--quality needs a file: it reads the frames to come; leave it out for a camera")
    made_folder(out)
    built = built or _built(config, frames.is_live, quality=quality, fast=fast)
    whole, pipeline = built if isinstance(built, WholeTracks) else None, pipeline_of(built)
    if frames.camera.guessed:
        print(f"no --camera given: focal length guessed as {frames.camera.K[0, 0]:.0f} px (60 degree field of view)")
    overlap = overlap and not frames.is_image and usable_cores() > 1
    style = Style(out, frames.fps, 3 * frames.width * frames.height, frames.is_image, config.body, uncertainty)
    session = _Session(pipeline, frames, max_frames, config, overlap=overlap)
    try:
        with _sharing(overlap), session.interruptible("writing what is done"):
            if whole:
                session.observe()
            else:
                with closing(open_drawing(style, overlap=overlap)) if overlay else nullcontext() as drawing:
                    session.process(drawing)
    finally:
        try:
            if whole:
                session.refine(whole)
        finally:
            summary = session.save(out, source)
    if tracks is not None:
        tracks.frames = session.count
        tracks.add(session.recorder.humans)
    if whole and overlay:
        with (
            _sharing(overlap),
            session.interruptible("the overlay breaks off"),
            closing(open_drawing(style, overlap=overlap)) as second,
        ):
            session.draw(open_source(source, camera, config.input.max_pixels), second)
        if session.interrupted:
            session.save(out, source)
    print(
        f"{summary['frames']} frames, {summary['frames_with_people']} with people, {len(summary['track_ids'])} ids, "
        f"{summary['frames_per_second']:.1f} frames/s -> {out}"
    )
    return 130 if session.interrupted else 0


def _built(config: HmrConfig, live: bool, *, quality: bool, fast: bool) -> Built:
    if live:
        return build_pipeline(with_own_detector(config))
    return build_for_files(config, quality=quality, as_live=fast)


class _Session:
    """One run over one source: keeps the answers and counts what it sees."""

    def __init__(
        self, pipeline: Pipeline, frames: FrameSource, max_frames: int | None, config: HmrConfig, *, overlap: bool
    ) -> None:
        self.interrupted, self._config, self._overlap = False, config, overlap
        self._depths, self._in_world = DepthSamples(), False
        self.recorder = ResultRecorder()
        self.observed: list[Observation] = []
        self.count, self._first_ns = 0, 0
        self._pipeline, self._frames, self._max_frames = pipeline, frames, max_frames
        self._stage_ms: dict[str, list[float]] = {}
        self._busy: dict[str, float] = {}
        self._wall_s = 0.0

    def process(self, drawing: Drawing | None) -> None:
        """Every frame answered, kept and drawn; however this ends, so are those that still wait for their answer."""
        line = Line(overlap=self._overlap)
        recovered = line.then("recovery", self._recovered(self._tracked(line)))
        kept = line.last("overlay" if drawing else "results", self._kept(recovered, drawing, line))
        self._work_off(line, kept, "writing what is done")

    def observe(self) -> None:
        """Every frame observed, to be refined afterwards."""
        line = Line(overlap=self._overlap)
        self._work_off(line, line.last("recovery", self._observed(self._tracked(line))), "writing what is done")

    def draw(self, frames: FrameSource, drawing: Drawing) -> None:
        """Second pass over the same frames: the overlay of people who were refined afterwards."""
        by_frame: dict[int, list[Human]] = {}
        for human in self.recorder.humans:
            by_frame.setdefault(human.frame, []).append(human)
        line = Line(overlap=self._overlap)
        again = line.first("decode", itertools.islice(frames, self.count))
        results = (Result(frame, by_frame.get(frame.index, [])) for frame in again)
        drawn = line.last("overlay", self._drawn(results, drawing, line))
        try:
            self._run(line, drawn, self.count, "overlay", "the overlay ends here, humans.npz is complete")
        finally:
            if line.closed:
                frames.close()

    def refine(self, whole: WholeTracks) -> None:
        """Everybody who was observed into the rows of humans.npz; where that is broken off, as they were found."""
        refined: list[Human] = []
        try:
            with self.interruptible("people are kept as they were found, not refined"):
                refined = whole.refine(self.observed)
        finally:
            self.recorder.add(refined or [self._pipeline.humans([p], [p.estimate])[0] for p in self.observed])

    @contextmanager
    def interruptible(self, then: str) -> Iterator[None]:
        """Ctrl-C and SIGTERM end what is inside, not what follows."""
        try:
            yield
        except KeyboardInterrupt:
            self.interrupted = True
            print(f"interrupted: {then}")

    def save(self, out: Path, source: str) -> dict[str, Any]:
        """Write humans.npz, hypotheses.npz where asked for, and summary.json; the summary."""
        if not self._in_world:
            self._in_world = True
            with self.interruptible("people are kept as they were found, without a world"):
                people = self.recorder.humans
                body, camera = self._pipeline.body, self._frames.camera
                self.recorder = ResultRecorder(in_world(people, body, camera, self._config, self._depths))
        self.recorder.save(out / "humans.npz", K=self._frames.camera.K, body_model=self._pipeline.body.name)
        if self._config.hypotheses.count:
            self.recorder.save_hypotheses(out / "hypotheses.npz")
        summary = self._summary(source)
        save_text(out / "summary.json", json.dumps(summary, indent=2) + "\n")
        return summary

    def _tracked(self, line: Line) -> Iterator[tuple[Frame, list[Track]]]:
        """Frames with the people who were followed into them, as one stage after that which reads."""
        return line.then("people", self._followed(line.first("decode", self._read())))

    def _read(self) -> Iterator[Frame]:
        for number, frame in enumerate(itertools.islice(self._frames, self._max_frames)):
            if not number:
                self._first_ns = frame.stamp_ns
            self._depths.add(frame)
            yield frame

    def _followed(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, list[Track]]]:
        for frame in frames:
            start = time.perf_counter()
            tracks = self._pipeline.track(frame)
            self._stage_ms.setdefault("track", []).append(1e3 * (time.perf_counter() - start))
            yield frame, tracks
            self._pipeline.search(frame)

    def _recovered(self, tracked: Iterable[tuple[Frame, list[Track]]]) -> Iterator[Result]:
        try:
            for frame, tracks in tracked:
                with self._stages_timed():
                    result = self._pipeline.recover(frame, tracks)
                if result is not None:
                    yield result
        except Exception:
            yield from self._pipeline.finish()  # the frames before it
            raise
        yield from self._pipeline.finish()

    def _observed(self, tracked: Iterable[tuple[Frame, list[Track]]]) -> Iterator[None]:
        for frame, tracks in tracked:
            with self._stages_timed():
                self.observed += self._pipeline.observations(frame, tracks)
            self.count += 1
            yield

    def _kept(self, recovered: Iterable[Result], drawing: Drawing | None, line: Line) -> Iterator[None]:
        kept = self._counted(recovered)
        yield from self._drawn(kept, drawing, line) if drawing else (None for _ in kept)

    def _counted(self, recovered: Iterable[Result]) -> Iterator[Result]:
        for result in recovered:
            self.count += 1
            self.recorder.add(result.humans)
            yield result

    @staticmethod
    def _drawn(results: Iterable[Result], drawing: Drawing, line: Line) -> Iterator[None]:
        """Every result drawn; where that fails the line is stopped, and what is under way is kept nevertheless."""
        failed: Exception | None = None
        for result in results:
            if failed is None:
                try:
                    drawing.write(result.frame, result.humans)
                except Exception as error:
                    failed = error
                    line.stop()
            yield
        if failed is not None:
            raise failed
        drawing.close()  # here, where Ctrl-C does not break it off

    @contextmanager
    def _stages_timed(self) -> Iterator[None]:
        self._pipeline.stage_seconds = {}
        yield
        for stage, seconds in self._pipeline.stage_seconds.items():
            self._stage_ms.setdefault(stage, []).append(1e3 * seconds)

    def _work_off(self, line: Line, items: Iterator[None], then: str) -> None:
        """Run the line over the source, which is closed at the end."""
        total = self._frames.count
        if self._max_frames is not None:
            total = self._max_frames if total is None else min(total, self._max_frames)
        start = time.perf_counter()
        try:
            self._run(line, items, total, "people", then)
        finally:
            self._wall_s = time.perf_counter() - start
            self._busy = {name: seconds / self._wall_s for name, seconds in line.busy_s().items()}
            if line.closed:  # else somebody pressed Ctrl-C twice, and it may still be read from
                self._frames.close()

    def _run(self, line: Line, items: Iterator[None], total: int | None, name: str, then: str) -> None:
        """Until the last item is out, with a progress bar that names the stage that the others wait for; Ctrl-C and
        SIGTERM stop the source, and what is under way comes out."""
        with closing(line), tqdm(total=total, unit="frame", desc=name) as bar:
            with self.interruptible(then):
                _shown(items, line, bar)
            if self.interrupted:
                line.stop()
                _shown(items, line, bar)

    def _summary(self, source: str) -> dict[str, Any]:
        """What summary.json holds."""
        camera, ids = self._frames.camera, [h.track_id for h in self.recorder.humans]
        return {
            "source": without_password(source),
            "frames": self.count,
            "first_stamp_ns": self._first_ns,  # where overlay.mp4 begins
            "frames_with_people": len({h.frame for h in self.recorder.humans}),
            "track_ids": {str(i): ids.count(i) for i in sorted(set(ids))},
            "interrupted": self.interrupted,
            "source_truncated": self._frames.truncated,
            "images_left_out": self._frames.skipped,
            "frames_per_second": self.count / self._wall_s if self._wall_s else 0.0,
            "stage_busy": {k: round(v, 3) for k, v in self._busy.items()},
            "stage_ms_p50": {k: float(np.median(v)) for k, v in self._stage_ms.items()},
            "stage_ms_p95": {k: float(np.percentile(v, 95)) for k, v in self._stage_ms.items()},
            "camera": {"K": camera.K.tolist(), "guessed": camera.guessed},
            "body_model": self._pipeline.body.name,
        }


@contextmanager
def _sharing(overlap: bool) -> Iterator[None]:
    """Stages hand over fast (a network's answer waits until another stage gives up Python's lock), and OpenCV's threads
    keep out of the others' way; entered before a stage begins, for it does when its line is made."""
    interval, threads = sys.getswitchinterval(), cv2.getNumThreads()
    if overlap:
        sys.setswitchinterval(_HAND_OVER_S)
        cv2.setNumThreads(1)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        cv2.setNumThreads(threads)


def _shown(items: Iterator[None], line: Line, bar: tqdm[NoReturn]) -> None:
    for _ in items:
        stage, share = line.slowest()
        bar.set_postfix_str(f"{stage} {share:.0%} busy", refresh=False)
        bar.update()
