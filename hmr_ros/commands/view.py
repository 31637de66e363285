"""`hmr view`: a web page with the people of a source or of a file of results, without ROS."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import numpy as np

from hmr_ros.body.loading import load_body
from hmr_ros.body.model import BodyModel
from hmr_ros.config import HmrConfig
from hmr_ros.errors import InputError
from hmr_ros.factory import build_pipeline, with_own_detector
from hmr_ros.io.calibration import read_camera
from hmr_ros.io.results import HumansTable, load_humans
from hmr_ros.io.video import FrameSource, open_source
from hmr_ros.types import Floats, GravitySource, Human, ScaleSource, TrackingState, WorldState
from hmr_ros.view.browser.page import Page
from hmr_ros.view.browser.playback import Moment, Playback
from hmr_ros.view.browser.viewer import Viewer, camera_pose, moment_of, playback_of, small_jpeg, smaller
from hmr_ros.world.live import LiveWorld

_RESULTS = "humans.npz"


def view(
    source: str, config: HmrConfig, *, host: str, port: int, camera_text: str | None, video: str | None,
    max_frames: int | None,
) -> int:  # fmt: skip
    """Serve the page until Ctrl-C. `source`: humans.npz or a folder that holds it, else what `hmr run` takes.

    `video`: the clip that results belong to, whose images are shown with them.
    """
    results = _results(source)
    if results is None:
        return _view_source(source, config, host, port, camera_text, max_frames)
    table = load_humans(results)
    body = load_body(config.body)
    if table.body_model != body.name:
        raise InputError(f"{results} belongs to the body {table.body_model}, not {body.name}; give it with --body")
    clip = open_source(video, None, config.input.max_pixels) if video else _beside(results, config)
    playback = playback_of(moments_of(table, None if clip is None else (clip.width, clip.height)))
    if not len(playback):
        raise InputError(f"{results} holds nobody: there is nothing to show")
    with Viewer(_page(body, playback, host, port, recorded=True)) as viewer:
        if clip is not None:
            _read_images(clip, playback, 0 if video else _start_ns(results), drawn=video is None)
        viewer.wait()
    return 0


def view_ros(config: HmrConfig, *, host: str, port: int, humans_topic: str, image_topic: str | None) -> int:
    """The same with what a running node publishes."""
    from hmr_ros.ros.environment import prepare_environment

    prepare_environment()
    from hmr_ros.ros.viewer import run_viewer

    body = load_body(config.body)
    playback = Playback()
    page = _page(body, playback, host, port, recorded=False)
    try:
        run_viewer(page, playback, humans_topic, image_topic, body.name)
    finally:
        page.close()
    return 0


def moments_of(table: HumansTable, size: tuple[int, int] | None) -> list[Moment]:
    """The frames of a file of results in which somebody is, everybody in one shape; `size` of their images, else twice
    the principal point."""
    width, height = size or (round(2 * table.K[0, 2]), round(2 * table.K[1, 2]))
    shapes = {i: np.median(table.betas[table.track_id == i], axis=0) for i in set(table.track_id.tolist())}
    by_frame: dict[int, list[int]] = {}
    for row, frame in enumerate(table.frame.tolist()):
        by_frame.setdefault(frame, []).append(row)
    moments = []
    for _, rows in sorted(by_frame.items()):
        people = [_human(table, row, shapes) for row in rows]
        R, t = _camera_pose(table, rows[0])
        stamp_ns = int(table.stamp_ns[rows[0]])
        moments.append(Moment(stamp_ns, people, table.K, width, height, R, t_world_camera=t))
    return moments


def _camera_pose(table: HumansTable, row: int) -> tuple[Floats, Floats | None]:
    """R_world_camera and t_world_camera of a row, as `camera_pose` where nobody said them."""
    R, t = table.R_world_camera, table.t_world_camera
    if R is None or t is None or not (np.isfinite(R[row]).all() and np.isfinite(t[row]).all()):
        return camera_pose([])
    return R[row], t[row]


def _view_source(
    source: str, config: HmrConfig, host: str, port: int, camera_text: str | None, max_frames: int | None
) -> int:
    """People are found while the page is looked at; a file is played at its own pace."""
    frames = open_source(source, read_camera(camera_text) if camera_text else None, config.input.max_pixels)
    try:
        pipeline = build_pipeline(with_own_detector(config))
        playback, world = Playback(), LiveWorld(pipeline.body, config)
        with Viewer(_page(pipeline.body, playback, host, port, recorded=False)) as viewer:
            start = time.monotonic()
            first_ns: int | None = None
            for frame in itertools.islice(frames, max_frames):
                first_ns = frame.stamp_ns if first_ns is None else first_ns
                if not frames.is_live:
                    time.sleep(max(0.0, start + (frame.stamp_ns - first_ns) * 1e-9 - time.monotonic()))
                began = time.monotonic()
                result = pipeline.step(frame)
                if result is not None:
                    people = world(result.frame, result.humans)
                    playback.add(moment_of(result.frame, people, time.monotonic() - began))
                pipeline.search(frame)
            for result in pipeline.finish():
                playback.add(moment_of(result.frame, world(result.frame, result.humans), None))
            print("the source has ended; what was seen can still be played back (Ctrl-C ends)")
            viewer.wait()
    finally:
        frames.close()
    return 0


def _page(body: BodyModel, playback: Playback, host: str, port: int, recorded: bool) -> Page:
    page = Page(body, playback, host=host, port=port, recorded=recorded)
    print(f"open {page.url} in a browser; Ctrl-C ends", flush=True)
    return page


def _results(source: str) -> Path | None:
    """The file of results that `source` means, None where it is something else."""
    path = Path(source)
    if path.suffix == ".npz":
        return path
    return path / _RESULTS if (path / _RESULTS).is_file() else None


def _beside(results: Path, config: HmrConfig) -> FrameSource | None:
    """The overlay that `hmr run` wrote beside the results."""
    overlay = results.with_name("overlay.mp4")
    return open_source(str(overlay), None, config.input.max_pixels) if overlay.is_file() else None


def _start_ns(results: Path) -> int:
    """The stamp of the first frame of the overlay beside the results: of a camera it is the time of day."""
    try:
        return int(json.loads(results.with_name("summary.json").read_text(encoding="utf-8"))["first_stamp_ns"])
    except (OSError, ValueError, TypeError, KeyError):  # results of an earlier version
        return 0


def _read_images(clip: FrameSource, playback: Playback, start_ns: int, *, drawn: bool) -> None:
    """Give the moments their images, by stamp since `start_ns`; while that goes on, the page is there already."""
    moments, shown = playback.moments, 0
    stamps = np.array([m.stamp_ns for m in moments]) - start_ns
    try:
        for frame in clip:
            index = int(np.argmin(np.abs(stamps - frame.stamp_ns)))
            if abs(int(stamps[index]) - frame.stamp_ns) * 1e-9 < 0.5 / clip.fps:
                small, scale = smaller(frame.image)
                playback.set_image(index, small_jpeg(small, [] if drawn else moments[index].humans, scale))
                shown += 1
        if not shown:
            print("no image of the video has the stamp of a frame with people: is it the one that they were found in?")
    finally:
        clip.close()


def _human(table: HumansTable, row: int, shapes: dict[int, Floats]) -> Human:
    """One row as a record, with the shape of its track; what a truth does not say is certain."""
    rows = {"boxes_xyxy": 4, "keypoints_2d": (33, 3), "joint_covariance": (24, 6)}
    given = {
        name: np.full(shape, np.nan if name != "joint_covariance" else 0.0)
        if getattr(table, name) is None else getattr(table, name)[row]
        for name, shape in rows.items()
    }  # fmt: skip
    states, scales = table.tracking_state, table.scale_source
    return Human(
        frame=int(table.frame[row]), stamp_ns=int(table.stamp_ns[row]), track_id=int(table.track_id[row]),
        state=TrackingState.TRACKED if states is None else TrackingState(int(states[row])),
        score=1.0 if table.score is None else float(table.score[row]),
        global_orient=table.global_orient[row], body_pose=table.body_pose[row], betas=shapes[int(table.track_id[row])],
        transl=table.transl[row], joints=table.joints[row], joints_2d=table.joints_2d[row], K=table.K,
        body_model=table.body_model,
        scale=ScaleSource.GUESS if scales is None else ScaleSource(int(scales[row])),
        world=_world(table, row), **given,
    )  # fmt: skip


def _world(table: HumansTable, row: int) -> WorldState | None:
    """Of one row, None where the file does not say where the camera or which feet stand."""
    R, t = _camera_pose(table, row)
    if t is None or table.contacts is None or not np.isfinite(table.contacts[row]).all():
        return None
    root, velocity = (None if a is None else a[row] for a in (table.root_world, table.root_velocity))
    source, sigma = table.gravity_source, table.gravity_sigma
    return WorldState(
        R, t, R @ table.joints[row, 0] + t if root is None else root, np.zeros(3) if velocity is None else velocity,
        table.contacts[row], GravitySource.NONE if source is None else GravitySource(int(source[row])),
        0.0 if sigma is None else float(sigma[row]),
    )  # fmt: skip
