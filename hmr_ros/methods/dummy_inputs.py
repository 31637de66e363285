"""Inputs to try a network on: random poses of the open body as a landmark network would report them."""

from __future__ import annotations

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE, BLAZEPOSE_LIMBS, SMPL, SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.body.model import forward_kinematics
from hmr_ros.evidence.keypoints import normalise
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.runtime.contract import Signature
from hmr_ros.types import Floats

_DISTANCE_M = 4.0
_FACE = BLAZEPOSE["left_shoulder"]  # so many landmarks, the first ones
# what hands and feet hang on
_ENDS = {"pinky": "wrist", "index": "wrist", "thumb": "wrist", "heel": "ankle", "foot_index": "ankle"}
_HANG_ON = {
    BLAZEPOSE[f"{side}_{end}"]: BLAZEPOSE[f"{side}_{joint}"]
    for side in ("left", "right")
    for end, joint in _ENDS.items()
}


def make_inputs(signature: Signature, count: int, seed: int = 0) -> dict[str, Floats]:
    """Plausible inputs of the network `signature` for `count` people."""
    return _MAKERS[signature.network](signature, count, np.random.default_rng(seed))


def _people(signature: Signature, count: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Inputs of `posture`."""
    del signature
    body = load_body(None)
    world = np.zeros((count, 33, 3))
    for i in range(count):
        person = world[i]
        root = np.array([np.pi, 0.0, 0.0]) + rng.normal(0, 0.2, 3)
        joints = body.joints(root, rng.normal(0, 0.25, 69), rng.normal(0, 1, 10), np.zeros(3))
        person[:_FACE] = joints[SMPL["head"]] + rng.normal(0, 0.05, (_FACE, 3))
        person[BLAZEPOSE_LIMBS] = joints[SMPL_LIMBS]
        for point, parent in _HANG_ON.items():
            person[point] = person[parent] + rng.normal(0, 0.05, 3)
        world[i] -= (joints[SMPL["left_hip"]] + joints[SMPL["right_hip"]]) / 2
    seen = world + np.array([0.0, 0.0, _DISTANCE_M]) + rng.normal(0, 0.3, (count, 1, 3))
    confidence = rng.uniform(0.3, 1.0, (count, 33))
    people = normalise(seen[..., :2] / seen[..., 2:], confidence, world)
    return {"points": people.points.astype(np.float32), "log_scale": np.log(people.scale).astype(np.float32)}


def _meshes(signature: Signature, count: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Inputs of `decoder`: people with a 2D mesh made of their landmarks."""
    people = _people(signature, count, rng)
    mesh = people["points"][:, rng.integers(0, 33, 81), :2] + rng.normal(0, 0.02, (count, 81, 2))
    sigma = rng.uniform(0.01, 0.05, (count, 81))
    return {"mesh": mesh.astype(np.float32), "sigma": sigma.astype(np.float32)} | people


def _windows(signature: Signature, count: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Inputs of `refine`: windows of people at 30 Hz, some of them short."""
    size = signature.inputs
    slots, frames = size["known"][0], size["present"][0]
    body = load_body(None)
    betas = rng.normal(0, 1, (count, 10))
    rest = body.rest_joints(betas)
    turns = {
        name: matrix_from_axis_angle(rng.normal(0, spread, (*shape, 3)))
        for name, spread, shape in (("poses", 0.3, (count, slots, 24)), ("means", 0.3, (count, frames - 1, 24)),
                                    ("aim", 0.1, (count,)))
    }  # fmt: skip
    columns = {n: np.swapaxes(turns[n][..., :2], -1, -2).reshape(count, -1, 144) for n in ("poses", "means")}
    missing = rng.integers(0, frames, (count, 1))
    pelvis = np.array([0.0, 0.0, 4.0]) + rng.normal(0, 0.1, (count, 3))
    joints = forward_kinematics(turns["means"][:, -1], rest)[1]
    limbs = (joints - joints[:, :1] + pelvis[:, None])[:, SMPL_LIMBS] + rng.normal(0, 0.03, (count, 12, 3))
    inputs = columns | {
        "window": rng.normal(0, 1, (count, *size["window"])), "known": np.ones((count, slots)), "aim": turns["aim"],
        "precisions": rng.uniform(25, 250, (count, frames - 1, 24)), "present": np.arange(frames) >= missing,
        "seconds": rng.uniform(0.02, 0.05, (count, frames - 1)), "log_depth": rng.normal(1.4, 0.02, (count, frames)),
        "rays": limbs[..., :2] / limbs[..., 2:], "confidence": rng.uniform(0.2, 1, (count, 12)),
        "bones": body.bones(betas),
        "recovered": pelvis,
        "sigma_ray": rng.choice([0.005, 0.03], count), "floor": rng.choice([25.0, 125.0], count),
    }  # fmt: skip
    measured = rng.random(count) < 0.5  # of the people
    inputs |= {
        "measured": columns["means"][:, -1],
        "trust": rng.uniform(0, 100, (count, 24)) * measured[:, None],
        "depths": limbs[..., 2] + rng.normal(0, 0.03, (count, 12)),
        "depth_weights": rng.choice([0.0, 30.0], (count, 12)) * measured[:, None],
        "sigma_depth": np.where(measured, 0.005, 0.03),
    }
    return {name: np.asarray(array, np.float32) for name, array in inputs.items()}


def _noisy(signature: Signature, count: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Inputs of `hmdiff`: people, noise and one of the steps."""
    state = rng.standard_normal((count, *signature.inputs["state"]), np.float32)
    time = np.full(count, rng.choice([1000, 600, 100]), np.float32)
    return _people(signature, count, rng) | {"state": state, "time": time}


def _images(signature: Signature, count: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Inputs of `image`."""
    return {"images": rng.uniform(0, 1, (count, *signature.inputs["images"])).astype(np.float32)}


def _features(signature: Signature, count: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Inputs of `limbs`: smooth maps, for BlazePose's are."""
    rows, columns, channels = signature.inputs["features"]
    coarse = rng.normal(0, 6, (count, rows // 4, columns // 4, channels))
    return {"features": np.kron(coarse, np.ones((1, 4, 4, 1))).astype(np.float32)}


def _sampled(signature: Signature, count: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Inputs of `hypotheses`: poses near the T-pose, features as the encoder has standardised them, noise."""
    rotations = matrix_from_axis_angle(rng.normal(0, 0.3, (count, 24, 3)))
    columns = np.swapaxes(rotations[..., :2], -1, -2).reshape(count, -1)
    size = signature.inputs
    inputs = {
        "features": rng.normal(0, 0.5, (count, *size["features"])), "pose": columns,
        "noise": rng.standard_normal((count, *size["noise"])),
        "bones": load_body(None).bones(rng.normal(0, 1, (count, 10))),
        "pelvis": np.array([0.0, 0.0, 4.0]) + rng.normal(0, 0.1, (count, 3)),
    }  # fmt: skip
    return {name: np.asarray(array, np.float32) for name, array in inputs.items()}


_MAKERS = {
    "posture": _people, "decoder": _meshes, "refine": _windows, "hypotheses": _sampled, "hmdiff": _noisy,
    "image": _images, "limbs": _features,
}  # fmt: skip
