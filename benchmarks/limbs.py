"""The limb network on single crops of real people, beside the world landmarks of the same crops.

`python benchmarks/limbs.py FOLDER ... [--weights FILE]`; each FOLDER holds calibrated views and reference.npz, as
../shared/data/balance and seated do. Every crop that the tracker cuts (live), and no memory, decoder or fit. PA-MPJPE
of the reliable limb joints (mean / median); of the limbs that lean by more than 17 degrees against their lines of sight
how many lean the right way; root mean square of the sines' errors, and over the sigma that goes with each (1: honest).
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from landmark_errors import FAR_PX
from reference_names import short

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, DIRECTED_BONES, LIMB_JOINTS, SMPL_LIMBS
from hmr_ros.config import HmrConfig
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.evidence.keypoints import aim, rays_of
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.geometry.crops import crop_axes
from hmr_ros.io.model_store import FULL, asset, model_file
from hmr_ros.io.video import open_source
from hmr_ros.networks.limbs import load_limbs
from hmr_ros.perception.landmarks import FEATURE_MAP, Landmarker, feature_network, network_input
from hmr_ros.train.data.features import sines_of
from hmr_ros.train.limbs import LEAST_SINE, LIMB_BONES
from hmr_ros.types import Camera, Floats, Frame, Roi, Track

MIN_RELIABLE = 5
OF_LIMB_JOINTS = np.array([[LIMB_JOINTS.index(joint) for joint in bone] for bone in DIRECTED_BONES])


@dataclass
class Seen:
    """One crop of the man whom the reference is about."""

    features: Floats  # [32,32,32]
    roi: Roi
    frame: Frame
    world: Floats  # [12,3] m, world landmarks
    true: Floats  # [12,3] m, camera axes
    reliable: Floats  # [12]


def main() -> None:
    """Two lines a view."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--weights", type=Path, default=asset("limbs.safetensors"))
    args = parser.parse_args()
    network = load_limbs(args.weights)
    for folder in args.folders:
        for view, video in enumerate(sorted(folder.glob("*.mp4"))):
            seen = list(crops_of(folder, view, video))
            world = np.array([s.world for s in seen])
            report(f"{folder.name} {view} world landmarks", seen, world, axial(world), None)
            with torch.inference_mode():
                said = network(torch.from_numpy(np.array([s.features for s in seen])).permute(0, 3, 1, 2))
            joints = upright(seen, said.joints.numpy()[:, SMPL_LIMBS].astype(float))
            sigma = 2**0.5 * np.exp(said.log_spread.numpy())
            report(f"{folder.name} {view} limb network", seen, joints, said.sines.numpy(), sigma)


def crops_of(folder: Path, view: int, video: Path) -> Iterator[Seen]:
    """Of every frame with a reference the crop that the tracker cuts next, seen anew by both."""
    reference = np.load(folder / "reference.npz")
    names = [str(n) for n in reference["joint_names"]]
    columns = [names.index(short(j)) if short(j) in names else -1 for j in LIMB_JOINTS]
    tracker = build_pipeline(offline(HmrConfig(refine="none"), True)).tracker
    look, landmarker = feature_network(model_file(FULL), 1), Landmarker([model_file(FULL)], 1)
    source = open_source(
        str(video), Camera(reference["K"][view], 0, 0, reference["dist"][view] if "dist" in reference else None)
    )
    for frame in source:
        known = np.array(columns) >= 0
        reliable = reference["reliable"][frame.index, columns].astype(bool) & known
        true = reference["joints3d"][frame.index, columns] @ reference["R"][view].T + reference["t"][view]
        best = nearest(tracker.step(frame), frame, true, reliable) if reliable.sum() >= MIN_RELIABLE else None
        if best is not None:
            roi = best.keypoints.next_roi
            features = look(network_input(frame.image, roi))[FEATURE_MAP][0]
            world = landmarker(frame.image, roi).keypoints_3d[BLAZEPOSE_LIMBS]
            yield Seen(features, roi, frame, world, true, reliable)


def nearest(tracks: list[Track], frame: Frame, true: Floats, reliable: Floats) -> Track | None:
    """Whose landmarks lie on the reference."""
    flat = (true[:, :2] / true[:, 2:])[reliable]
    points = [rays_of(t.keypoints.keypoints_2d[None, :, :2], frame.camera)[0][BLAZEPOSE_LIMBS] for t in tracks]
    off = [frame.camera.K[0, 0] * np.median(np.linalg.norm(p[reliable] - flat, axis=-1)) for p in points]
    return tracks[int(np.argmin(off))] if off and min(off) < FAR_PX else None


def upright(seen: list[Seen], joints: Floats) -> Floats:
    """From the axes of the crops [N,12,3] to those of the camera."""
    rays = np.array([rays_of(s.roi.center_px[None, None], s.frame.camera)[0, 0] for s in seen])
    angles = np.array([s.roi.angle_rad for s in seen])
    return np.asarray(joints @ crop_axes(angles) @ np.swapaxes(aim(rays), 1, 2))


def axial(points: Floats) -> Floats:
    """Sines [N,12] of the bones of [N,12,3] against the optical axis, as world landmarks are read."""
    along = points[:, OF_LIMB_JOINTS[:, 1]] - points[:, OF_LIMB_JOINTS[:, 0]]
    return np.asarray(along[..., 2] / np.maximum(np.linalg.norm(along, axis=-1), 1e-9))


def report(label: str, seen: list[Seen], joints: Floats, sines: Floats, sigma: Floats | None) -> None:
    """One line."""
    true, reliable = np.array([s.true for s in seen]), np.array([s.reliable for s in seen])
    errors = [
        procrustes_errors(found[good][None], at[good][None]).mean()
        for found, at, good in zip(joints, true, reliable, strict=True)
    ]
    expected = sines_of(true, OF_LIMB_JOINTS)
    known = reliable[:, OF_LIMB_JOINTS].all(-1)
    known[:, [i for i in range(known.shape[1]) if i not in LIMB_BONES]] = False
    leaning = known & (np.abs(expected) > LEAST_SINE)
    right = 100 * (sines * expected > 0)[leaning].mean()
    off = (sines - expected)[known]
    honest = "" if sigma is None else f", {np.sqrt(np.mean((off / sigma[known]) ** 2)):.2f} sigma"
    print(
        f"{label:<26} {np.mean(errors):5.1f} / {np.median(errors):5.1f} mm, {right:5.1f} % right of {leaning.sum()},"
        f" sines {np.sqrt(np.mean(off**2)):.3f}{honest}, {len(seen)} crops",
        flush=True,
    )


if __name__ == "__main__":
    main()
