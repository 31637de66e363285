"""Every recovery with every refinement on clips with truth, as files and as live.

`python benchmarks/methods.py CLIP.mp4 ... [--recover ...]`: beside each clip its truth (CLIP.npz), as `clips.py` and
`hmr render` write them; their camera is taken from it. Means over the clips. Tracks are the same for all rows of a mode
(files: ensemble of full and heavy; live: full); ms is the median of a frame after tracking, which has its own line.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hmr_ros.body.loading import load_body
from hmr_ros.config import HmrConfig, TemporalConfig
from hmr_ros.evaluate.report import evaluate
from hmr_ros.factory import build_pipeline, build_quality, build_stages, offline
from hmr_ros.io.results import ResultRecorder, load_humans
from hmr_ros.io.video import open_source
from hmr_ros.methods.registry import MAX_LAG, RECOVERIES, REFINEMENTS
from hmr_ros.pipeline import Pipeline
from hmr_ros.types import Camera, Frame, Human, Track

FIGURES = (
    "pa_mpjpe_limbs_mm", "mpjpe_mm", "pve_mm", "acceleration_error_m_s2", "joints_2d_px", "translation_mm",
    "coverage_68", "coverage_95", "sigma_error_spearman",
)  # fmt: skip
Tracked = list[tuple[Frame, list[Track]]]


@dataclass
class Replay:
    """A tracker whose answers are known."""

    tracks: dict[int, list[Track]]

    def step(self, frame: Frame) -> list[Track]:
        """Who was seen in it."""
        return self.tracks[frame.index]

    def search(self, frame: Frame, defer: bool) -> bool:
        """Nothing to search."""
        del frame, defer
        return False

    def reset(self) -> None:
        """Nothing to forget."""


def main() -> None:
    """One table a mode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--recover", nargs="+", choices=tuple(RECOVERIES), default=list(RECOVERIES))
    parser.add_argument("--modes", nargs="+", choices=("files", "live"), default=["files", "live"])
    args = parser.parse_args()
    for name in args.modes:
        as_live = name == "live"
        config = offline(HmrConfig(), as_live)
        clips = [tracked(clip, config) for clip in args.clips]
        seconds = [s for _, spent in clips for s in spent]
        print(f"\n{name}: tracking {1e3 * np.median(seconds):.1f} ms")
        print(f"{'recover':<10} {'refine':<12} {' '.join(f'{f[:15]:>15}' for f in FIGURES)} {'ms':>7}")
        for recover in args.recover:
            for refine in ("none", *REFINEMENTS, *(() if as_live else ("quality",))):
                lag = 0 if as_live else MAX_LAG
                chosen = replace(config, recover=recover, temporal=TemporalConfig(lag=lag))
                report(recover, refine, chosen, args.clips, [rows for rows, _ in clips])


def tracked(clip: Path, config: HmrConfig) -> tuple[Tracked, list[float]]:
    """Frames of a clip with their tracks, and what each took."""
    K = load_humans(clip.with_suffix(".npz")).K
    tracker = build_pipeline(replace(config, refine="none")).tracker
    rows, spent = [], []
    for frame in open_source(str(clip), Camera(K, 0, 0)):
        start = time.perf_counter()
        rows.append((frame, tracker.step(frame)))
        spent.append(time.perf_counter() - start)
    return rows, spent


def report(recover: str, refine: str, config: HmrConfig, clips: list[Path], rows: list[Tracked]) -> None:
    """One line."""
    found, spent = [], []
    for clip, frames in zip(clips, rows, strict=True):
        humans, seconds = whole(config, frames) if refine == "quality" else framewise(config, refine, frames)
        spent += seconds
        with tempfile.TemporaryDirectory() as folder:
            ResultRecorder(humans).save(Path(folder) / "humans.npz", frames[0][0].camera.K, load_body().name)
            found.append(evaluate(Path(folder) / "humans.npz", clip.with_suffix(".npz")))
    means = [np.mean([f[name] for f in found]) for name in FIGURES]
    ms = f"{1e3 * np.median(spent):7.1f}" if spent else f"{'':>7}"
    print(f"{recover:<10} {refine:<12} {' '.join(f'{m:15.2f}' for m in means)} {ms}", flush=True)


def framewise(config: HmrConfig, refine: str, frames: Tracked) -> tuple[list[Human], list[float]]:
    """Frame by frame, and the seconds each took."""
    replay = Replay({frame.index: tracks for frame, tracks in frames})
    pipeline = Pipeline(load_body(), replay, build_stages(replace(config, refine=refine)))
    results, spent = [], []
    for frame, _ in frames:
        start = time.perf_counter()
        results.append(pipeline.step(frame))
        spent.append(time.perf_counter() - start)
    return [h for r in [*results, *pipeline.finish()] if r for h in r.humans], spent


def whole(config: HmrConfig, frames: Tracked) -> tuple[list[Human], list[float]]:
    """`--quality`: refined when all is known."""
    quality = build_quality(config)
    quality.pipeline.tracker = Replay({frame.index: tracks for frame, tracks in frames})
    people = [p for frame, _ in frames for p in quality.pipeline.observe(frame)]
    return quality.refine(people), []


if __name__ == "__main__":
    main()
