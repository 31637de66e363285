"""What the ellipsoids of `joint_covariance` hold on real views: `python benchmarks/coverage.py ../shared/data`.

Both views of the balance and the seated clip, each alone with the live settings, and both together (`hmr multiview`).
Reliable joints of the reference in frames with five of six of them, about the middle of its first two joints (hips,
shoulders). The reference is triangulated from detections and itself good to 3 to 5 cm, which the covariance does not
know of; the second pair of columns adds 3 cm to it.
"""

import argparse
from pathlib import Path

import numpy as np
from reference_names import short

from hmr_ros.body.joints import LIMB_JOINTS, SMPL
from hmr_ros.config import HmrConfig, with_values
from hmr_ros.evaluate.probabilistic import coverage
from hmr_ros.factory import build_multiview, build_pipeline
from hmr_ros.geometry.covariance import unpacked
from hmr_ros.io.video import open_source
from hmr_ros.methods.scorehmr.multiview import View
from hmr_ros.types import Camera, Floats

_REFERENCE_M = 0.03
Rows = list[tuple[int, Floats, Floats]]  # frame, joints [24,3] m, covariance [24,3,3] m^2, camera axes


def main() -> None:
    """Four views, and the pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with balance/ and seated/, two calibrated views each")
    folder = parser.parse_args().data
    clip("balance", folder / "balance", ["cam01.mp4", "cam02.mp4"], (1080, 1920), list(LIMB_JOINTS))
    clip("seated", folder / "seated", ["cam_1.mp4", "cam_2.mp4"], (1280, 720), list(LIMB_JOINTS[6:]))


def clip(title: str, folder: Path, videos: list[str], size: tuple[int, int], names: list[str]) -> None:
    """Lines of one clip."""
    reference = np.load(folder / "reference.npz")
    columns = [str(n) for n in reference["joint_names"]]
    index = [columns.index(short(n)) for n in names]
    rows = [SMPL[n] for n in names]
    truth, reliable = reference["joints3d"][:, index], reference["reliable"][:, index].astype(bool)

    def report(name: str, view: int, found: Rows) -> None:
        R, t = reference["R"][view], reference["t"][view]
        errors, covariances = [], []
        for frame, joints, covariance in found:
            good = reliable[frame]
            if good.sum() < len(names) * 5 // 6 or not good[:2].all():
                continue
            error = joints[rows] - truth[frame] @ R.T - t
            errors.append((error - error[:2].mean(0))[good])
            covariances.append(covariance[rows][good])
        e, C = np.concatenate(errors), np.concatenate(covariances)
        own = _REFERENCE_M**2 * np.eye(3)
        held = [100 * coverage(e, c, s) for c in (C, C + own) for s in (0.68, 0.95)]
        print(f"{title:<8} {name:<14} {' '.join(f'{h:6.1f}' for h in held)} % of {len(e)}", flush=True)

    config = with_values(HmrConfig(), {"threads": 1})
    pipeline, refine = build_multiview(config)
    seen = []
    for v, video in enumerate(videos):
        camera = Camera(reference["K"][v], *size, reference["dist"][v] if "dist" in reference else None)
        live = build_pipeline(config)
        results = live.results(open_source(str(folder / video), camera))
        humans = [h for result in results for h in result.humans[:1]]
        report(f"view {v}", v, [(h.frame, h.joints, unpacked(h.joint_covariance)) for h in humans])
        pipeline.reset()
        people = [p for frame in open_source(str(folder / video), camera) for p in pipeline.observe(frame)]
        ids = [p.track.track_id for p in people]
        seen.append([p for p in people if p.track.track_id == max(set(ids), key=ids.count)])
    views = refine([View(people, reference["R"][v], reference["t"][v]) for v, people in enumerate(seen)])
    both = [(p.frame, p.estimate.joints, p.estimate.joint_covariance) for p in views[0].people]
    report("both views", 0, both)


if __name__ == "__main__":
    main()
