"""`hmr run`: a video, image, folder or camera through the pipeline into a folder of results, without ROS."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from hmr_ros.config import HmrConfig
from hmr_ros.errors import InputError
from hmr_ros.factory import build_pipeline, build_quality, offline
from hmr_ros.io.calibration import read_camera
from hmr_ros.io.results import ResultRecorder
from hmr_ros.io.video import FrameSource, VideoWriter, open_source
from hmr_ros.pipeline import Pipeline
from hmr_ros.types import Camera, Frame, Human
from hmr_ros.view.overlay import draw_humans


def run(
    source: str, out: Path, config: HmrConfig, *, camera_text: str | None, max_frames: int | None, overlay: bool,
    quality: bool = False,
) -> int:  # fmt: skip
    """Write humans.npz, overlay.mp4 (or .png) and summary.json to `out`; Ctrl-C keeps what is done.

    `quality`: people are found in a first pass, refined with the frames before and after them, and drawn in a second.
    """
    camera = read_camera(camera_text) if camera_text else None
    frames = open_source(source, camera)
    if quality and frames.is_live:
        raise InputError("--quality needs a file: it looks at the frames to come; leave it out for a camera")
    whole = build_quality(config) if quality else None
    pipeline = whole.pipeline if whole else build_pipeline(config if frames.is_live else offline(config))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {out}: {error.strerror}; choose another --out folder") from error
    if frames.camera.guessed:
        print(f"no --camera given: focal length guessed as {frames.camera.K[0, 0]:.0f} px (60 degree field of view)")
    recorder = ResultRecorder(keep_evidence=quality)
    session = _Session(pipeline, recorder, out, frames, overlay and not quality)
    try:
        session.process(max_frames)
    except KeyboardInterrupt:
        session.interrupted = True
        print("interrupted: writing what is done")
    finally:
        if whole:
            recorder = ResultRecorder(whole.refine(recorder.humans, session.cameras))
            if overlay:
                _draw(open_source(source, camera), recorder.humans, out, pipeline, session.count)
        recorder.save(out / "humans.npz", K=frames.camera.K, body_model=pipeline.body.name)
        summary = session.summary(source)
        (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    print(
        f"{summary['frames']} frames, {summary['frames_with_people']} with people, {len(summary['track_ids'])} ids, "
        f"{summary['frames_per_second']:.1f} frames/s -> {out}"
    )
    return 130 if session.interrupted else 0


class _Session:
    """One run over one source: counts what it sees."""

    def __init__(
        self, pipeline: Pipeline, recorder: ResultRecorder, out: Path, frames: FrameSource, overlay: bool
    ) -> None:
        self.interrupted = False
        self._pipeline, self._recorder, self._out, self._frames = pipeline, recorder, out, frames
        self._overlay = overlay
        self.count = self._occupied = 0
        self.cameras: dict[int, Camera] = {}  # by frame
        self._rows_per_id: dict[int, int] = {}
        self._stage_ms: dict[str, list[float]] = {}
        self._wall_s = 0.0

    def process(self, max_frames: int | None) -> None:
        total = self._frames.count
        if max_frames is not None:
            total = max_frames if total is None else min(total, max_frames)
        start = time.perf_counter()
        with ExitStack() as stack:
            stack.callback(self._frames.close)
            video = None
            if self._overlay and not self._frames.is_image:
                video = stack.enter_context(VideoWriter(self._out / "overlay.mp4", self._frames.fps))
            bar = stack.enter_context(tqdm(total=total, unit="frame", desc="people"))
            stack.callback(self._keep_waiting, video)  # however this ends
            for frame in self._frames:
                if max_frames is not None and frame.index >= max_frames:
                    break
                humans = self._pipeline.step(frame)
                self._pipeline.search(frame)
                self.cameras[frame.index] = frame.camera
                self._time_stages()
                if self._pipeline.answered is not None:
                    self._keep(self._pipeline.answered, humans, video)
                self._wall_s = time.perf_counter() - start
                bar.update()

    def _keep_waiting(self, video: VideoWriter | None) -> None:
        for frame, humans in self._pipeline.finish():
            self._keep(frame, humans, video)

    def _keep(self, frame: Frame, humans: list[Human], video: VideoWriter | None) -> None:
        """The answer to a frame."""
        self._recorder.add(humans)
        self._note(humans)
        if not self._overlay:
            return
        picture = draw_humans(frame.image, humans, self._pipeline.body)
        if video is None:
            cv2.imwrite(str(self._out / "overlay.png"), picture)
        else:
            video.write(picture)

    def _note(self, humans: list[Human]) -> None:
        self.count += 1
        self._occupied += bool(humans)
        for human in humans:
            self._rows_per_id[human.track_id] = self._rows_per_id.get(human.track_id, 0) + 1

    def _time_stages(self) -> None:
        for stage, seconds in self._pipeline.stage_seconds.items():
            self._stage_ms.setdefault(stage, []).append(1e3 * seconds)

    def summary(self, source: str) -> dict[str, Any]:
        camera = self._frames.camera
        return {
            "source": source,
            "frames": self.count,
            "frames_with_people": self._occupied,
            "track_ids": {str(k): v for k, v in sorted(self._rows_per_id.items())},
            "interrupted": self.interrupted,
            "source_truncated": self._frames.truncated,
            "frames_per_second": self.count / self._wall_s if self._wall_s else 0.0,
            "stage_ms_p50": {k: float(np.median(v)) for k, v in self._stage_ms.items()},
            "stage_ms_p95": {k: float(np.percentile(v, 95)) for k, v in self._stage_ms.items()},
            "camera": {"K": camera.K.tolist(), "guessed": camera.guessed},
            "body_model": self._pipeline.body.name,
        }


def _draw(frames: FrameSource, humans: list[Human], out: Path, pipeline: Pipeline, count: int) -> None:
    """Second pass over the first `count` pictures: the overlay of people who were refined afterwards."""
    by_frame: dict[int, list[Human]] = {}
    for human in humans:
        by_frame.setdefault(human.frame, []).append(human)
    with ExitStack() as stack:
        stack.callback(frames.close)
        video = None
        if not frames.is_image:
            video = stack.enter_context(VideoWriter(out / "overlay.mp4", frames.fps))
        for frame in tqdm(itertools.islice(frames, count), total=count, unit="frame", desc="overlay"):
            picture = draw_humans(frame.image, by_frame.get(frame.index, []), pipeline.body)
            if video is None:
                cv2.imwrite(str(out / "overlay.png"), picture)
            else:
                video.write(picture)
