"""`hmr evaluate --protocol`: the images of a published data set through the pipeline, and its published figures."""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hmr_ros.commands.settings_key import settings_key
from hmr_ros.config import HmrConfig, with_values
from hmr_ros.errors import ConfigError, InputError
from hmr_ros.evaluate.protocols.figures import Errors, measure
from hmr_ros.evaluate.protocols.judge import judge_of
from hmr_ros.evaluate.protocols.sequence import Sequence, Subject
from hmr_ros.evaluate.protocols.smpl_files import SmplFiles
from hmr_ros.evaluate.protocols.table import sequences
from hmr_ros.evaluate.report import print_report
from hmr_ros.factory import build_for_files, pipeline_of
from hmr_ros.io.results import ResultRecorder, load_humans, made_folder, save_text
from hmr_ros.io.video import open_images
from hmr_ros.pipeline import Pipeline
from hmr_ros.world.whole import in_world

_SUMMARY = "summary.json"
_SHOWN = ("recall", "pa_mpjpe_mm", "mpjpe_mm", "pve_mm", "acceleration_error_m_s2")


@dataclass(frozen=True)
class Choice:
    """What of a data set is judged, and by which files."""

    protocol: str
    folder: Path
    smpl: Path | None = None  # folder of SMPL's files
    regressor: Path | None = None  # of Human3.6M's joints; None: beside SMPL's files
    split: str = "test"  # of 3DPW
    names: tuple[str, ...] = ()  # of sequences; none: all
    max_frames: int | None = None  # of each sequence


def chosen(args: argparse.Namespace) -> Choice:
    """What the options of `hmr evaluate` say; ConfigError."""
    if args.truth is not None:
        raise ConfigError("--protocol takes the folder of a data set alone; its truth is in it")
    names = tuple(args.sequences)
    return Choice(args.protocol, args.humans, args.smpl, args.regressor, args.split, names, args.max_frames)


def evaluate_protocol(
    choice: Choice, config: HmrConfig, *, results: Path | None, fast: bool = False, json_path: Path | None = None
) -> int:
    """Print a line a sequence and the figures of all; answers are kept in `results`/SEQUENCE/humans.npz, and taken from
    there where they are already. `fast`: as the live node answers. Errors that a user can mend are HmrError."""
    smpl = SmplFiles(choice.smpl) if choice.smpl else None
    judge = judge_of(choice.protocol, smpl, choice.regressor, choice.smpl)
    if smpl is not None and not config.body:
        config = with_values(config, {"body": str(smpl.path("neutral"))})
    total, lines = Errors(), {}
    with _kept(results) as folder:
        answers = _Answers(config, folder, fast)
        for sequence in _asked_for(choice, smpl):
            path = answers.of(sequence)
            try:
                errors = measure(sequence, load_humans(path), judge, ways=choice.protocol == "emdb2")
            except InputError as error:
                raise InputError(f"{path}: {error}") from error
            total.add(errors)
            lines[sequence.name] = errors.figures()
            shown = (f"{name} {value:.3f}" for name in _SHOWN if (value := lines[sequence.name][name]) is not None)
            print(f"{sequence.name}: {', '.join(shown)}", flush=True)
    if not lines:
        raise InputError(f"--sequences {' '.join(choice.names)}: none of these is in {choice.folder}")
    figures: dict[str, Any] = {"protocol": choice.protocol, "points": judge.points, **total.figures()}
    print()
    print_report(figures)
    if json_path:
        save_text(json_path, json.dumps(figures | {"sequences": lines}, indent=2) + "\n")
    return 0


@contextmanager
def _kept(results: Path | None) -> Iterator[Path]:
    """The folder of results, or one that is gone afterwards."""
    if results is not None:
        yield made_folder(results)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _asked_for(choice: Choice, smpl: SmplFiles | None) -> Iterator[Sequence]:
    """The sequences that were asked for, as long as asked for."""
    for sequence in sequences(choice.protocol, choice.folder, smpl, choice.split):
        if not choice.names or sequence.name in choice.names:
            yield sequence if choice.max_frames is None else _shortened(sequence, choice.max_frames)


def _shortened(sequence: Sequence, frames: int) -> Sequence:
    """Its first `frames` images."""
    return replace(sequence, images=sequence.images[:frames], subjects=[_first(s, frames) for s in sequence.subjects])


def _first(subject: Subject, frames: int) -> Subject:
    keep = subject.frames < frames
    arrays = {k: v[keep] for k, v in vars(subject).items() if isinstance(v, np.ndarray)}
    posed = subject.posed
    if posed is not None:
        transl = None if posed.transl is None else posed.transl[keep]
        posed = replace(posed, poses=posed.poses[keep], transl=transl)
    return replace(subject, **arrays, posed=posed)


class _Answers:
    """Runs sequences through the pipeline, built for the first that needs it."""

    def __init__(self, config: HmrConfig, folder: Path, fast: bool) -> None:
        self._config, self._folder, self._fast = config, folder, fast
        self._pipeline: Pipeline | None = None

    def of(self, sequence: Sequence) -> Path:
        """The humans.npz of a sequence."""
        path = self._folder / sequence.name / "humans.npz"
        key = settings_key(self._config, self._fast, sequence.moving)
        if path.is_file():
            _check_kept(path, key, len(sequence.images))
            return path
        if not sequence.images or not sequence.images[0].is_file():
            raise InputError(f"{sequence.name}: no image {sequence.images[:1] or ''}; unpack the data set's images")
        made_folder(path.parent)
        if self._pipeline is None:
            self._pipeline = pipeline_of(build_for_files(self._config, quality=False, as_live=self._fast))
        pipeline = self._pipeline
        pipeline.restart()
        frames = open_images(sequence.images, sequence.camera, sequence.fps, self._config.input.max_pixels)
        bar = tqdm(frames, total=frames.count, unit="frame", desc=sequence.name)
        people = list(itertools.chain.from_iterable(r.humans for r in pipeline.results(bar)))
        # feet cannot be held in the world of a camera that is carried
        config = with_values(self._config, {"world.feet": "never"}) if sequence.moving else self._config
        recorder = ResultRecorder(in_world(people, pipeline.body, frames.camera, config))
        recorder.save(path, K=frames.camera.K, body_model=pipeline.body.name)
        save_text(path.with_name(_SUMMARY), json.dumps({"frames": len(sequence.images), "key": key}) + "\n")
        return path


def _summary(humans: Path) -> dict[str, Any]:
    """What stands beside humans.npz; empty where nobody says anything."""
    try:
        return dict(json.loads(humans.with_name(_SUMMARY).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _check_kept(humans: Path, key: str, frames: int) -> None:
    """InputError where the summary beside humans.npz is of other settings (that of `hmr run` does not say of which), or
    counts fewer than `frames`: the others would be taken for misses."""
    summary = _summary(humans)
    if summary.get("key", key) != key:
        raise InputError(
            f"{humans} was made with other settings, or by another version; give another --results, or remove"
            f" {humans.parent}: it is made anew then"
        )
    count = summary.get("frames")
    if isinstance(count, int) and count < frames:
        raise InputError(
            f"{humans} is of {count} of {frames} frames; delete it to have all, or give --max-frames {count}"
        )
