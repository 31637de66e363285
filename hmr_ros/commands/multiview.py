"""`hmr multiview`: several synchronised videos of one person -> one pose, as a humans.npz for every view."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hmr_ros.config import HmrConfig
from hmr_ros.errors import InputError
from hmr_ros.factory import build_multiview
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.io.calibration import extrinsics_of, read_camera
from hmr_ros.io.depth import FramesWithDepth, open_depth
from hmr_ros.io.results import ResultRecorder, made_folder
from hmr_ros.io.video import open_source
from hmr_ros.methods.contract import Observation
from hmr_ros.methods.scorehmr.multiview import View
from hmr_ros.methods.scorehmr.view_check import check_views
from hmr_ros.pipeline import Pipeline
from hmr_ros.types import Camera, Floats, ScaleSource
from hmr_ros.world.views import UPRIGHT, SeenFrom, in_one_world
from hmr_ros.yaml_files import load_yaml

_HOW = "expected 'views:', a list of entries with source, camera, depth, and R (9 numbers) and t (3) where calibrated"
_SAME_RATE = 0.01  # relative difference of frame rates that are one


@dataclass(frozen=True)
class _Entry:
    """One view of the calibration file."""

    name: str
    source: str
    camera: Camera | None
    depth: str | None  # one registered depth image for each frame, as for `hmr run --depth`
    R: Floats | None
    t: Floats | None


def multiview(calibration: Path, out: Path, config: HmrConfig, *, max_frames: int | None) -> int:
    """Read `calibration`, follow the person in every view, refine together, write OUT/<view>/humans.npz.

    Views of different rates are paired by time, counted from the start of each, at the frames of the slowest.
    """
    entries, up = _read(calibration)
    for entry in entries:
        made_folder(out / entry.name)
    pipeline, refine = build_multiview(config)
    found, rates, cameras = [], [], []
    for entry in entries:
        people, rate, camera = _person(pipeline, entry, max_frames, config.input.max_pixels)
        if not people:
            raise InputError(f"nobody was found in view {entry.name} ({entry.source}); leave it out of {calibration}")
        print(f"{entry.name}: {len(people)} frames of one person")
        found.append(people)
        rates.append(rate)
        cameras.append(camera)
    turn = pipeline.turn.matrix
    views = [
        View(people, None if e.R is None else turn @ e.R, None if e.t is None else turn @ e.t)
        for people, e in zip(paired_by_time(found, rates), entries, strict=True)
    ]
    check_views(views, [entry.name for entry in entries])
    refined = refine(views)
    seen = []
    for entry, view, camera in zip(entries, refined, cameras, strict=True):
        humans = [pipeline.humans([p], [p.estimate])[0] for p in view.people]
        place = None
        if entry.R is not None and entry.t is not None:  # of all views: triangulated
            humans = [replace(h, scale=ScaleSource.CAMERAS) for h in humans]
            place = Rigid(entry.R, entry.t).inverse
        seen.append(SeenFrom(humans, camera, place))
    for entry, humans in zip(entries, in_one_world(seen, pipeline.body, config, up), strict=True):
        recorder = ResultRecorder(humans)
        recorder.save(out / entry.name / "humans.npz", K=humans[0].K, body_model=pipeline.body.name)
    print(f"{len(refined)} views -> {out}")
    return 0


def _person(
    pipeline: Pipeline, entry: _Entry, max_frames: int | None, max_pixels: int
) -> tuple[list[Observation], float, Camera]:
    """The person who is in most frames of a video, the video's frame rate and its camera."""
    pipeline.reset()
    frames = open_source(entry.source, entry.camera, max_pixels)
    if entry.depth is not None:
        frames = FramesWithDepth(frames, open_depth(entry.depth))
    people: list[Observation] = []
    try:
        for frame in itertools.islice(frames, max_frames):
            people += pipeline.observe(frame)
    finally:
        frames.close()
    ids = [p.track.track_id for p in people]
    longest = max(set(ids), key=ids.count) if ids else -1
    return [p for p in people if p.track.track_id == longest], frames.fps, frames.camera


def paired_by_time(views: list[list[Observation]], rates: list[float]) -> list[list[Observation]]:
    """The same people with the frame numbers and stamps of the slowest view, where rates (Hz) differ: of a faster view,
    the frames nearest in time."""
    slowest = min(rates)
    if max(rates) <= (1 + _SAME_RATE) * slowest:
        return views
    print(f"views have {', '.join(f'{rate:.4g}' for rate in rates)} frames/s: paired by time at {slowest:.4g}")
    paired = []
    for people in views:
        nearest: dict[int, Observation] = {}
        for person in people:
            frame = round(person.stamp_ns * 1e-9 * slowest)
            there = nearest.get(frame)
            if there is None or _distance(person, frame, slowest) < _distance(there, frame, slowest):
                nearest[frame] = person
        paired.append([replace(p, frame=k, stamp_ns=round(k * 1e9 / slowest)) for k, p in sorted(nearest.items())])
    return paired


def _distance(person: Observation, frame: int, rate: float) -> float:
    return abs(person.stamp_ns * 1e-9 * rate - frame)


def _read(path: Path) -> tuple[list[_Entry], str]:
    """The views of a calibration file, and the axis of its world that is up; empty where it does not say."""
    try:
        tree = load_yaml(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; {_HOW}") from error
    except ValueError as error:
        raise InputError(f"{path} is not valid YAML; {_HOW}") from error
    listed = tree.get("views") if isinstance(tree, dict) else None
    if not isinstance(listed, list) or len(listed) < 2 or not all(isinstance(v, dict) for v in listed):
        raise InputError(f"{path} does not list two or more views; {_HOW}")
    entries = [_entry(path, k, view) for k, view in enumerate(listed)]
    without = [e.name for e in entries if e.R is None]
    if without and len(without) < len(entries):
        raise InputError(f"{path}: view {without[0]} has no R and t; give them for every view, or for none")
    names = [e.name for e in entries]
    if len(set(names)) < len(names):  # the same file name in several folders
        if any("name" in view for view in listed):
            raise InputError(
                f"{path}: several views have the name {max(names, key=names.count)}; name each differently"
            )
        entries = [replace(e, name=f"{e.name}_{k}") for k, e in enumerate(entries)]
    up = tree.get("up", "")
    if up and (not isinstance(up, str) or up not in UPRIGHT):
        raise InputError(f"{path}: up is {up!r:.60}; give the axis of the world that is up: {', '.join(UPRIGHT)}")
    if up and without:
        raise InputError(f"{path}: up names an axis of a world that no view has; give R and t, or leave up out")
    return entries, up


def _entry(path: Path, k: int, view: dict[str, Any]) -> _Entry:
    if not isinstance(view.get("source"), str):
        raise InputError(f"{path}: view {k} names no source; {_HOW}")
    name = str(view.get("name", Path(view["source"]).stem))
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise InputError(f"{path}: '{name}' cannot be the folder of view {k}; give it a plain name")
    R, t = extrinsics_of(view, f"{path}: view {name}") or (None, None)
    depth = view.get("depth")
    if depth is not None and not isinstance(depth, str):
        raise InputError(f"{path}: depth of view {name} is {depth!r:.60}; give a folder or a 16 bit video")
    depth = None if depth is None else _near(path, depth)
    return _Entry(name, _near(path, view["source"]), _camera(path, name, view.get("camera")), depth, R, t)


def _near(path: Path, source: str) -> str:
    """A file beside the calibration, where there is one of this name."""
    near = path.parent / source
    return str(near) if near.exists() else source


def _camera(path: Path, name: str, value: Any) -> Camera | None:
    """`fx,fy,cx,cy` as text or list, or a camera_info file."""
    if value is None:
        return None
    if isinstance(value, list) and len(value) == 4 and all(isinstance(v, (int, float)) for v in value):
        value = ",".join(map(str, value))
    if not isinstance(value, str):
        raise InputError(f"{path}: camera of view {name} is {value!r:.60}; give [fx, fy, cx, cy] or a camera_info file")
    return read_camera(value if "," in value else _near(path, value))
