"""How BlazePose errs on real people, the limb network's leans in it: fits the table that training draws errors from.

`python benchmarks/landmark_errors.py FOLDER ... [--out hmr_ros/assets/landmark_errors.json] [--pairs PAIRS]`; each
FOLDER holds two calibrated views and reference.npz, as ../shared/data/balance and seated do. Both landmark settings,
live and files. The reference's own errors (2 cm an axis where the folder is not named here, 0.5 cm for `seated`) are
subtracted. The table is printed, and with PAIRS (`hmr train pairs --plain`) that of rendered people too.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from reference_names import short

from hmr_ros.body.coarse import coarse_of
from hmr_ros.body.joints import BLAZEPOSE, LIMB_JOINTS
from hmr_ros.body.loading import load_body
from hmr_ros.config import HmrConfig
from hmr_ros.evidence.keypoints import normalise, rays_of
from hmr_ros.evidence.leans import with_leans
from hmr_ros.evidence.record import PERSON_M
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.io.model_store import asset
from hmr_ros.io.video import open_source
from hmr_ros.methods.posturehmr.mesh2d import load_mesh2d
from hmr_ros.train.data.batches import PairBank
from hmr_ros.train.data.landmark_errors import Cluster, RealErrors, clusters, fit_errors, lean_of, save_errors
from hmr_ros.train.data.pairs import load_pairs
from hmr_ros.types import Camera, Floats, Frame, Track

REFERENCE_M = {"seated": 0.005}
DEFAULT_REFERENCE_M = 0.02
LEAST_PIXELS = 0.03  # sizes of the person: what no reference here could tell apart
FAR_PX = 150.0  # who is farther than this from the reference is somebody else
Tracked = list[tuple[Frame, list[Track]]]


@dataclass
class View:
    """One person in one view, F frames."""

    true: Floats  # [F,33,3] m, axes of a camera aimed at the person; NaN where there is no reference
    said: Floats  # [F,33,3] m, likewise
    reliable: Floats  # [F,33]
    off: Floats  # [F,33,2] what is said minus the truth in the image, in sizes of the person
    reference_m: float
    seconds: float  # from frame to frame

    def clusters(self) -> list[Cluster]:
        """Its bones."""
        return clusters(self.true, self.said, self.reliable, self.reference_m * np.sqrt(2))


def main() -> None:
    """Fit, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    views = [view for folder in args.folders for view in views_of(folder)]
    errors = fitted(views)
    table("real", errors)
    if args.pairs:
        bank = rendered(args.pairs)
        table("rendered", fit_errors(rendered_clusters(bank), bank.pixels, errors.persistence))
    if args.out:
        save_errors(args.out, errors, {"fitted to": [folder.name for folder in args.folders]})


def fitted(views: list[View]) -> RealErrors:
    """The table of these views."""
    return fit_errors([c for v in views for c in v.clusters()], pixels(views), persistence(views))


def views_of(folder: Path) -> Iterator[View]:
    """Both views with either landmark setting."""
    reference = np.load(folder / "reference.npz")
    for as_live in (True, False):
        for v, video in enumerate(sorted(folder.glob("*.mp4"))):
            K = reference["K"][v]
            config = offline(HmrConfig(refine="none", threads=1), as_live)
            tracker = build_pipeline(config).tracker
            camera = Camera(K, 0, 0, reference["dist"][v] if "dist" in reference else None)
            source = open_source(str(video), camera)
            rows = [(frame, tracker.step(frame)) for frame in source]
            yield view_of(rows, reference, v, source.camera, REFERENCE_M.get(folder.name, DEFAULT_REFERENCE_M))


def view_of(rows: Tracked, reference: dict[str, Floats], v: int, camera: Camera, reference_m: float) -> View:
    """Whoever is nearest to the reference in each frame."""
    names = [str(n) for n in reference["joint_names"]]
    columns = {BLAZEPOSE[j]: names.index(short(j)) for j in LIMB_JOINTS if short(j) in names}
    marks, joints = list(columns), list(columns.values())
    count = len(rows)
    view = View(np.full((count, 33, 3), np.nan), np.zeros((count, 33, 3)), np.zeros((count, 33)),
                np.full((count, 33, 2), np.nan), reference_m, 1 / float(reference["fps"]))  # fmt: skip
    for i, (frame, tracks) in enumerate(rows):
        at = reference["joints3d"][frame.index, joints] @ reference["R"][v].T + reference["t"][v]
        good = reference["reliable"][frame.index, joints].astype(bool)
        if not tracks or not good.any():
            continue
        px = at @ reference["K"][v].T
        px = px[:, :2] / px[:, 2:]
        seen = np.array([t.keypoints.keypoints_2d for t in tracks])
        rays = rays_of(seen[..., :2], camera)
        flat = at[:, :2] / at[:, 2:]
        far = [np.median(np.linalg.norm((r[marks] - flat)[good], axis=-1)) * camera.K[0, 0] for r in rays]
        best = int(np.argmin(far))
        if far[best] > FAR_PX:
            continue
        heard = tracks[best].keypoints
        found = normalise(rays[[best]], seen[[best], :, 2], heard.keypoints_3d[None])
        found = with_leans(found, [heard.limbs], seen[[best]])
        view.true[i, marks], view.said[i] = at @ found.R_camera_aimed[0], found.points[0, :, 3:]
        view.reliable[i, marks] = good
        view.off[i, marks] = (rays[best, marks] - flat) / found.scale[0]
    return view


def pixels(views: list[View]) -> float:
    """Median error of the limb landmarks in the image in sizes of the person, without the reference's."""
    found = []
    for view in views:
        off = np.linalg.norm(view.off[view.reliable > 0], axis=-1)
        own = 1.18 * view.reference_m / PERSON_M  # median of two normal axes
        found.append(np.sqrt(max(np.median(off) ** 2 - own**2, LEAST_PIXELS**2)))
    return round(float(np.mean(found)), 3)


def persistence(views: list[View]) -> float:
    """Correlation of the leans' errors over 1/30 s, from the views that are fast enough."""
    found = []
    for view in views:
        if view.seconds > 1 / 25:
            continue
        steps = max(round(1 / 30 / view.seconds), 1)
        for c in view.clusters():
            error = lean_of(c.said)[1] - lean_of(c.true)[1]
            error = error - error.mean()
            found.append((error[steps:] * error[:-steps]).mean() / max(error.var(), 1e-9))
    return round(float(np.clip(np.median(found), 0, 0.98)), 3) if found else 0.9


def rendered(folder: Path) -> PairBank:
    """The rendered people."""
    body = load_body(None)
    landmarks = load_mesh2d(asset("mesh2d.safetensors")).landmarks.double().numpy()
    return PairBank(load_pairs(folder), body, coarse_of(body), landmarks)


def rendered_clusters(bank: PairBank) -> list[Cluster]:
    """Groups of rendered people, as if each were one view."""
    said = bank.points[..., 3:]
    true, sure = said - bank.residual_3d, bank.points[..., 2] > 0.5
    groups = np.array_split(np.arange(len(bank)), max(len(bank) // 20, 1))
    return [c for rows in groups for c in clusters(true[rows], said[rows], sure[rows], 0.0)]


def table(title: str, errors: RealErrors) -> None:
    """One line a kind of bone."""
    print(f"{title}: pixels {errors.pixels}, persistence {errors.persistence}")
    for kind, e in errors.bones.items():
        print(f"  {kind:<10} " + "  ".join(f"{k} {v:6.2f}" for k, v in vars(e).items()))


if __name__ == "__main__":
    main()
