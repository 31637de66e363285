"""Landmarks taken apart into bones and put together again."""

import numpy as np
import pytest

from hmr_ros.body.joints import BLAZEPOSE
from hmr_ros.body.landmark_bones import KINDS, LANDMARK_BONES, bones_of, landmark_end, rebuilt


@pytest.fixture
def people():
    """Three of them, over two frames."""
    landmarks = np.random.default_rng(0).normal(0, 0.4, (3, 2, 33, 3))
    return landmarks - landmark_end(landmarks, "hips")[..., None, :]


def test_every_landmark_belongs_to_a_bone_or_moves_with_one(people):
    bones = {kind: bones_of(people, kind) for kind in KINDS}
    np.testing.assert_allclose(rebuilt(people, bones), people, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_bones_are_those_that_were_asked_for(people, kind):
    bones = {k: bones_of(people, k) for k in KINDS}
    bones[kind] = bones[kind] + np.random.default_rng(1).normal(0, 0.1, bones[kind].shape)
    found = rebuilt(people, bones)
    for other in KINDS:
        np.testing.assert_allclose(bones_of(found, other), bones[other], atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "end", "carried"),
    [("shin", "ankle", ("heel", "foot_index")), ("forearm", "wrist", ("pinky", "index", "thumb"))],
)
def test_feet_and_hands_turn_with_their_bones(people, kind, end, carried):
    bones = {k: bones_of(people, k) for k in KINDS}
    bones[kind] = -2 * bones[kind][..., [1, 0], :]
    found = rebuilt(people, bones)
    for k, (_, child) in enumerate(LANDMARK_BONES[kind]):
        side = child.split("_")[0]
        parts = [BLAZEPOSE[f"{side}_{part}"] for part in carried]
        before, after = (x[..., parts, :] - landmark_end(x, f"{side}_{end}")[..., None, :] for x in (people, found))
        np.testing.assert_allclose(np.linalg.norm(after, axis=-1), np.linalg.norm(before, axis=-1))
        old, new = bones_of(people, kind)[..., k, :], bones[kind][..., k, :]
        along = [np.einsum("...pa,...a->...p", x, b / np.linalg.norm(b, axis=-1, keepdims=True))
                 for x, b in ((before, old), (after, new))]  # fmt: skip
        np.testing.assert_allclose(along[1], along[0], atol=1e-12)


def test_what_a_bone_without_a_direction_carries_stays_as_it_is(people):
    people[..., BLAZEPOSE["left_ankle"], :] = people[..., BLAZEPOSE["left_knee"], :]
    bones = {k: bones_of(people, k) for k in KINDS}
    np.testing.assert_allclose(rebuilt(people, bones), people, atol=1e-12)
    bones["forearm"] = -bones["forearm"]
    found = rebuilt(people, bones)
    for part in ("pinky", "index", "thumb"):
        before, after = (x[..., BLAZEPOSE[f"right_{part}"], :] - x[..., BLAZEPOSE["right_wrist"], :]
                         for x in (people, found))  # fmt: skip
        np.testing.assert_allclose(after, before, atol=1e-12)
