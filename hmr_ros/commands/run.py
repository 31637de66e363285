"""`hmr run`: a video, image, folder or camera through the pipeline into a folder of results, without ROS."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hmr_ros.commands.tracks import TrackTable
from hmr_ros.config import HmrConfig
from hmr_ros.errors import InputError
from hmr_ros.factory import Built, WholeTracks, build_for_files, build_pipeline, pipeline_of
from hmr_ros.io.calibration import read_camera
from hmr_ros.io.depth import FramesWithDepth, open_depth
from hmr_ros.io.results import ResultRecorder, made_folder, save_text
from hmr_ros.io.video import FrameSource, VideoWriter, open_source, save_image, without_password
from hmr_ros.methods.contract import Observation
from hmr_ros.pipeline import Pipeline
from hmr_ros.types import Frame, Human, Image, Result
from hmr_ros.view.overlay import draw_humans


def run(
    source: str, out: Path, config: HmrConfig, *, camera_text: str | None, max_frames: int | None, overlay: bool,
    quality: bool = False, depth: Path | None = None, uncertainty: str = "none", built: Built | None = None,
    tracks: TrackTable | None = None, fast: bool = False,
) -> int:  # fmt: skip
    """Write humans.npz, overlay.mp4 (or .png) and summary.json to `out`; Ctrl-C and SIGTERM keep what is done.

    `uncertainty`: what the overlay shows of it (`config.UNCERTAINTY`). With `hypotheses.count` in the configuration
    they are written too, to hypotheses.npz.
    `depth`: folder, file or 16 bit video with one registered depth image for each frame.
    `quality`: people are found in a first pass, refined with the frames before and after them, and drawn in a second.
    `fast`: a file with the networks and the lag of the live node.
    `built`: what the factory made of the same configuration for another source; `tracks` gets everybody who was found.
    """
    camera = read_camera(camera_text) if camera_text else None
    frames = open_source(source, camera, config.input.max_pixels)
    if depth is not None:
        frames = FramesWithDepth(frames, open_depth(depth))
    if quality and frames.is_live:
        raise InputError("--quality needs a file: it reads the frames to come; leave it out for a camera")
    made_folder(out)
    if built is None:
        built = build_pipeline(config) if frames.is_live else build_for_files(config, quality=quality, as_live=fast)
    whole, pipeline = built if isinstance(built, WholeTracks) else None, pipeline_of(built)
    if frames.camera.guessed:
        print(f"no --camera given: focal length guessed as {frames.camera.K[0, 0]:.0f} px (60 degree field of view)")
    session = _Session(pipeline, frames, max_frames, uncertainty, with_hypotheses=config.hypotheses.count > 0)
    try:
        with session.interruptible("writing what is done"):
            if whole:
                session.observe()
            else:
                session.process(_Drawing(out, frames) if overlay else None)
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
        with session.interruptible("the overlay ends here, humans.npz is complete"):
            _draw(open_source(source, camera, config.input.max_pixels), session, out)
        if session.interrupted:
            session.save(out, source)
    print(
        f"{summary['frames']} frames, {summary['frames_with_people']} with people, {len(summary['track_ids'])} ids, "
        f"{summary['frames_per_second']:.1f} frames/s -> {out}"
    )
    return 130 if session.interrupted else 0


class _Session:
    """One run over one source: keeps the answers and counts what it sees."""

    def __init__(
        self,
        pipeline: Pipeline,
        frames: FrameSource,
        max_frames: int | None,
        uncertainty: str,
        *,
        with_hypotheses: bool,
    ) -> None:
        self.interrupted, self._uncertainty, self._with_hypotheses = False, uncertainty, with_hypotheses
        self.recorder = ResultRecorder()
        self.observed: list[Observation] = []
        self.count = 0
        self._pipeline, self._frames, self._max_frames = pipeline, frames, max_frames
        self._stage_ms: dict[str, list[float]] = {}
        self._wall_s = 0.0

    def process(self, drawing: _Drawing | None) -> None:
        """Every frame answered, drawn and kept; however this ends, so are those that still wait for their answer."""
        with ExitStack() as stack:
            if drawing:
                stack.callback(drawing.close)
            stack.callback(self._finish, drawing)
            for result in self._pipeline.results(self._timed_frames()):
                self._answered(result, drawing)

    def _finish(self, drawing: _Drawing | None) -> None:
        for result in self._pipeline.finish():
            self._answered(result, drawing)

    def observe(self) -> None:
        """Every frame observed, to be refined afterwards."""
        for frame in self._timed_frames():
            self.observed += self._pipeline.observe(frame)
            self.count += 1

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
        self.recorder.save(out / "humans.npz", K=self._frames.camera.K, body_model=self._pipeline.body.name)
        if self._with_hypotheses:
            self.recorder.save_hypotheses(out / "hypotheses.npz")
        summary = self._summary(source)
        save_text(out / "summary.json", json.dumps(summary, indent=2) + "\n")
        return summary

    def _answered(self, result: Result, drawing: _Drawing | None) -> None:
        self.count += 1
        self.recorder.add(result.humans)
        if drawing:
            drawing.write(self.drawn(result.frame.image, result.humans), result.frame.stamp_ns)

    def drawn(self, image: Image, humans: list[Human]) -> Image:
        """The overlay of one frame."""
        return draw_humans(image, humans, self._pipeline.body, uncertainty=self._uncertainty)

    def _timed_frames(self) -> Iterator[Frame]:
        """The frames, with a progress bar; the source is closed at the end."""
        total = self._frames.count
        if self._max_frames is not None:
            total = self._max_frames if total is None else min(total, self._max_frames)
        start = time.perf_counter()
        with ExitStack() as stack:
            stack.callback(self._frames.close)
            bar = stack.enter_context(tqdm(total=total, unit="frame", desc="people"))
            for frame in itertools.islice(self._frames, self._max_frames):
                yield frame
                for stage, seconds in self._pipeline.stage_seconds.items():
                    self._stage_ms.setdefault(stage, []).append(1e3 * seconds)
                self._wall_s = time.perf_counter() - start
                bar.update()

    def _summary(self, source: str) -> dict[str, Any]:
        """What summary.json holds."""
        camera, ids = self._frames.camera, [h.track_id for h in self.recorder.humans]
        return {
            "source": without_password(source),
            "frames": self.count,
            "frames_with_people": len({h.frame for h in self.recorder.humans}),
            "track_ids": {str(i): ids.count(i) for i in sorted(set(ids))},
            "interrupted": self.interrupted,
            "source_truncated": self._frames.truncated,
            "images_left_out": self._frames.skipped,
            "frames_per_second": self.count / self._wall_s if self._wall_s else 0.0,
            "stage_ms_p50": {k: float(np.median(v)) for k, v in self._stage_ms.items()},
            "stage_ms_p95": {k: float(np.percentile(v, 95)) for k, v in self._stage_ms.items()},
            "camera": {"K": camera.K.tolist(), "guessed": camera.guessed},
            "body_model": self._pipeline.body.name,
        }


class _Drawing:
    """overlay.mp4, or overlay.png for an image."""

    def __init__(self, out: Path, frames: FrameSource) -> None:
        self._out = out
        self._video = None if frames.is_image else VideoWriter(out / "overlay.mp4", frames.fps, for_browsers=True)

    def write(self, image: Image, stamp_ns: int) -> None:
        """The next frame with the people drawn on it."""
        if self._video is None:
            save_image(self._out / "overlay.png", image)
        else:
            self._video.write_at(image, stamp_ns)

    def close(self) -> None:
        """Finish the file."""
        if self._video is not None:
            self._video.close()
            if self._video.conversion:
                print(self._video.conversion)


def _draw(frames: FrameSource, session: _Session, out: Path) -> None:
    """Second pass over the same frames: the overlay of people who were refined afterwards."""
    by_frame: dict[int, list[Human]] = {}
    for human in session.recorder.humans:
        by_frame.setdefault(human.frame, []).append(human)
    drawing = _Drawing(out, frames)
    with ExitStack() as stack:
        stack.callback(frames.close)
        stack.callback(drawing.close)
        for frame in tqdm(itertools.islice(frames, session.count), total=session.count, unit="frame", desc="overlay"):
            drawing.write(session.drawn(frame.image, by_frame.get(frame.index, [])), frame.stamp_ns)
