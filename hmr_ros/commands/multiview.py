"""`hmr multiview`: several synchronised videos of one person -> one pose, as a humans.npz for every view."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from hmr_ros.config import HmrConfig, load_yaml
from hmr_ros.errors import InputError
from hmr_ros.factory import build_multiview
from hmr_ros.io.calibration import read_camera
from hmr_ros.io.results import ResultRecorder
from hmr_ros.io.video import open_source
from hmr_ros.methods.contract import Observation
from hmr_ros.methods.scorehmr.multiview import View
from hmr_ros.pipeline import Pipeline
from hmr_ros.types import Floats

_HOW = "expected 'views:', a list of entries with source, camera, and R (9 numbers) and t (3) where calibrated"
_ORTHONORMAL = 1e-2


def multiview(calibration: Path, out: Path, config: HmrConfig, *, max_frames: int | None) -> int:
    """Read `calibration`, follow the person in every view, refine together, write OUT/<view>/humans.npz."""
    entries = _read(calibration)
    pipeline, refine = build_multiview(config)
    views = []
    for name, source, camera, R, t in entries:
        people = _person(pipeline, source, camera, max_frames)
        if not people:
            raise InputError(f"nobody was found in view {name} ({source}); leave the view out of {calibration}")
        print(f"{name}: {len(people)} frames of one person")
        turn = pipeline.turn.matrix
        views.append(View(people, None if R is None else turn @ R, None if t is None else turn @ t))
    refined = refine(views)
    for (name, *_), view in zip(entries, refined, strict=True):
        folder = out / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot write to {folder}: {error.strerror}; choose another --out folder") from error
        humans = [pipeline.humans([p], [p.estimate])[0] for p in view.people]
        ResultRecorder(humans).save(folder / "humans.npz", K=humans[0].K, body_model=pipeline.body.name)
    print(f"{len(refined)} views -> {out}")
    return 0


def _person(pipeline: Pipeline, source: str, camera: str | None, max_frames: int | None) -> list[Observation]:
    """The person who is in most frames of a video."""
    pipeline.reset()
    frames = open_source(source, read_camera(camera) if camera else None)
    people: list[Observation] = []
    try:
        for frame in itertools.islice(frames, max_frames):
            people += pipeline.observe(frame)
    finally:
        frames.close()
    ids = [p.track.track_id for p in people]
    longest = max(set(ids), key=ids.count) if ids else -1
    return [p for p in people if p.track.track_id == longest]


def _read(path: Path) -> list[tuple[str, str, str | None, Floats | None, Floats | None]]:
    """(name, source, camera, R, t) of every view."""
    try:
        tree = load_yaml(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; {_HOW}") from error
    except ValueError as error:
        raise InputError(f"{path} is not valid YAML; {_HOW}") from error
    listed = tree.get("views") if isinstance(tree, dict) else None
    if not isinstance(listed, list) or len(listed) < 2 or not all(isinstance(v, dict) for v in listed):
        raise InputError(f"{path} does not list two or more views; {_HOW}")
    return [_entry(path, k, view) for k, view in enumerate(listed)]


def _entry(path: Path, k: int, view: dict[str, Any]) -> tuple[str, str, str | None, Floats | None, Floats | None]:
    if not isinstance(view.get("source"), str):
        raise InputError(f"{path}: view {k} names no source; {_HOW}")
    near = path.parent / view["source"]
    source = str(near) if near.exists() else view["source"]
    name = str(view.get("name", Path(view["source"]).stem))
    R, t = _numbers(path, name, view, "R", 9), _numbers(path, name, view, "t", 3)
    if R is not None:
        R = R.reshape(3, 3)
        if np.abs(R @ R.T - np.eye(3)).max() > _ORTHONORMAL or np.linalg.det(R) < 0:
            raise InputError(f"{path}: R of view {name} is not a rotation; x_camera = R x_world + t is expected")
    return name, source, view.get("camera"), R, t


def _numbers(path: Path, name: str, view: dict[str, Any], key: str, count: int) -> Floats | None:
    if view.get(key) is None:
        return None
    try:
        values = np.asarray(view[key], np.float64).reshape(-1)
    except (TypeError, ValueError):
        values = np.zeros(0)
    if len(values) != count or not np.isfinite(values).all():
        raise InputError(f"{path}: {key} of view {name} is not {count} finite numbers")
    return values
