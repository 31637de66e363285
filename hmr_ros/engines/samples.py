"""People to try an engine on: random poses of the open body as a landmark network would report them."""

from __future__ import annotations

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE, BLAZEPOSE_LIMBS, SMPL, SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.engines.contract import Signature
from hmr_ros.posture.features import normalise
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


def sample(signature: Signature, count: int, seed: int = 0) -> dict[str, Floats]:
    """Inputs for `count` people; `posture` gets plausible ones, other networks standard normal numbers."""
    rng = np.random.default_rng(seed)
    if signature.network == "posture":
        return _people(count, rng)
    inputs = {name: rng.normal(0, 1, (count, *size)).astype(np.float32) for name, size in signature.inputs.items()}
    if "present" in inputs:  # at least the frame itself
        inputs["present"] = (inputs["present"] > -1).astype(np.float32)
        inputs["present"][:, 0] = 1.0
    if "t" in inputs:
        inputs["t"] = rng.uniform(1, 1000, count).astype(np.float32)
    return inputs


def _people(count: int, rng: np.random.Generator) -> dict[str, Floats]:
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
