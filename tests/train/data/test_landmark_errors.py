"""Landmark errors as on real people: what is asked for is drawn, what was drawn is found again."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.joints import BLAZEPOSE
from hmr_ros.errors import AssetError
from hmr_ros.train.data.landmark_errors import (
    KINDS,
    BoneErrors,
    RealErrors,
    clusters,
    fit_errors,
    lean_of,
    load_errors,
    save_errors,
)

NONE = BoneErrors(gain=1.0, bias=0.0, lasting=0.0, passing=0.0, flip=0.0, turn=0.0, length=1.0, length_sd=0.0)
BONES = {
    "upper_arm": ("left_shoulder", "left_elbow"),
    "forearm": ("right_elbow", "right_wrist"),
    "thigh": ("right_hip", "right_knee"),
    "shin": ("left_knee", "left_ankle"),
}


def errors_of(**changed):
    """No errors but those of the kinds that are given."""
    return RealErrors({kind: changed.get(kind, NONE) for kind in KINDS}, 0.04, 0.6)


def bone(landmarks, kind):
    parent, child = BONES[kind]
    return landmarks[..., BLAZEPOSE[child], :] - landmarks[..., BLAZEPOSE[parent], :]


@pytest.fixture(scope="module")
def people():
    """True landmarks [N,1,33,3] of bodies with limbs in all directions, the mid hip at the origin."""
    rng = np.random.default_rng(0)
    at = np.zeros((4000, 33, 3))
    index = BLAZEPOSE
    up = np.array([0.0, -0.5, 0.0]) + rng.normal(0, 0.1, (len(at), 3))
    across = np.array([0.35, 0.0, 0.0]) + rng.normal(0, 0.08, (len(at), 3))
    for sign, side in ((-0.5, "left"), (0.5, "right")):
        at[:, index[f"{side}_hip"]] = 0.6 * sign * across
        at[:, index[f"{side}_shoulder"]] = up + sign * across
        for parent, child in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")):
            way = rng.normal(size=(len(at), 3)) * [1, 1, 0.7]
            way *= 0.3 / np.linalg.norm(way, axis=-1, keepdims=True)
            at[:, index[f"{side}_{child}"]] = at[:, index[f"{side}_{parent}"]] + way
        for end, parts in (("wrist", ("pinky", "index", "thumb")), ("ankle", ("heel", "foot_index"))):
            for part in parts:
                at[:, index[f"{side}_{part}"]] = at[:, index[f"{side}_{end}"]] + rng.normal(0, 0.05, (len(at), 3))
    at[:, :11] = up[:, None] * 1.4 + rng.normal(0, 0.05, (len(at), 11, 3))
    return at[:, None]


def test_without_errors_the_landmarks_keep_their_shape(people):
    """All lengths have one factor in common."""
    said = errors_of().world(people, np.random.default_rng(0))
    size = np.linalg.norm(said, axis=(-2, -1)) / np.linalg.norm(people, axis=(-2, -1))
    np.testing.assert_allclose(said, people * size[..., None, None], atol=1e-9)
    assert 0.05 < np.log(size).std() < 0.12


@pytest.mark.parametrize("kind", BONES)
def test_a_bias_turns_its_bones_alone(people, kind):
    e = errors_of(**{kind: replace(NONE, bias=10.0, length=0.9)})
    said = e.world(people, np.random.default_rng(0))
    flat = np.abs(lean_of(bone(people, kind))[1]) < np.radians(70)
    turned = lean_of(bone(said, kind))[1] - lean_of(bone(people, kind))[1]
    np.testing.assert_allclose(np.degrees(turned[flat]), 10.0, atol=1e-6)
    plain = errors_of().world(people, np.random.default_rng(0))
    for other in set(BONES) - {kind}:
        np.testing.assert_allclose(bone(said, other), bone(plain, other), atol=1e-9)
    np.testing.assert_allclose(
        np.linalg.norm(bone(said, kind), axis=-1), 0.9 * np.linalg.norm(bone(plain, kind), axis=-1), atol=1e-9
    )


def test_hands_and_feet_go_with_their_limbs(people):
    """They stay as far from wrist and ankle as they are, and as far from elbow and knee."""
    e = errors_of(forearm=replace(NONE, bias=-25.0), shin=replace(NONE, gain=0.5))
    said, plain = (x.world(people, np.random.default_rng(0)) for x in (e, errors_of()))
    for tip, end, root in (("left_index", "left_wrist", "left_elbow"), ("right_heel", "right_ankle", "right_knee")):
        for near in (end, root):
            a, b = (np.linalg.norm(x[..., BLAZEPOSE[tip], :] - x[..., BLAZEPOSE[near], :], axis=-1)
                    for x in (said, plain))  # fmt: skip
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_as_many_signs_are_wrong_as_asked(people):
    said = errors_of(forearm=replace(NONE, flip=0.1)).world(people, np.random.default_rng(1))
    true, found = (lean_of(bone(x, "forearm"))[1] for x in (people, said))
    assert np.mean(true * found < 0) == pytest.approx(0.1, abs=0.015)
    np.testing.assert_allclose(np.abs(found), np.abs(true), atol=np.radians(6))  # the steepest are held back


def test_errors_last(people):
    """From frame to frame a flip and a part of the noise stay."""
    still = np.repeat(people[:1500], 6, axis=1)
    e = errors_of(shin=replace(NONE, flip=0.2), thigh=replace(NONE, lasting=6.0, passing=6.0))
    said = e.world(still, np.random.default_rng(2))
    true = lean_of(bone(still, "shin"))[1]
    wrong = lean_of(bone(said, "shin"))[1] * true < 0
    assert wrong.mean() == pytest.approx(0.2, abs=0.03)
    assert (wrong[:, 1:] & wrong[:, :-1]).mean() > 2 * 0.2**2
    noise = lean_of(bone(said, "thigh"))[1] - lean_of(bone(still, "thigh"))[1]
    noise = noise[np.abs(lean_of(bone(still, "thigh"))[1][:, 0]) < np.radians(45)]
    neighbours = np.mean(noise[:, 1:] * noise[:, :-1]) / noise.var()
    far = np.mean(noise[:, 0] * noise[:, 5]) / noise.var()
    assert neighbours == pytest.approx((1 + 0.6) / 2, abs=0.06)
    assert far == pytest.approx((1 + 0.6**5) / 2, abs=0.08)


def test_what_was_drawn_is_found_again(people):
    """Every person is a view of a few frames."""
    wanted = BoneErrors(
        gain=0.7, bias=-12.0, lasting=6.0, passing=5.0, flip=0.05, turn=4.0, length=0.85, length_sd=0.05
    )
    views = np.array_split(people[:, 0], 40)
    rng = np.random.default_rng(3)
    seen = []
    for view in views:  # one person in many poses
        said = errors_of(upper_arm=wanted).world(view[None], rng)[0]
        seen += clusters(view, said, np.ones((len(view), 33)), 0.0)
    found = fit_errors(seen, 0.03, 0.5).bones
    assert found["upper_arm"].gain == pytest.approx(0.7, abs=0.06)
    assert found["upper_arm"].bias == pytest.approx(-12.0, abs=2.0)
    assert found["upper_arm"].lasting == pytest.approx(6.0, abs=1.5)
    assert found["upper_arm"].passing == pytest.approx(5.0, abs=1.5)
    assert found["upper_arm"].length == pytest.approx(0.85, abs=0.03)
    assert found["thigh"].bias == pytest.approx(0.0, abs=0.5)
    assert found["thigh"].gain == pytest.approx(1.0, abs=0.06)


def test_what_no_view_shows_has_errors_too(people):
    """Arms alone: legs get errors of their own all the same."""
    reliable = np.zeros((200, 33))
    reliable[:, [BLAZEPOSE["left_shoulder"], BLAZEPOSE["left_elbow"]]] = 1
    found = fit_errors(clusters(people[:200, 0], people[:200, 0], reliable, 0.0), 0.03, 0.5).bones
    assert found["shin"].passing > 0
    assert found["upper_arm"].gain == pytest.approx(1.0, abs=0.2)


def test_tables_are_read_as_written(tmp_path):
    e = errors_of(shin=replace(NONE, bias=3.0))
    save_errors(tmp_path / "e.json", e, {"fitted to": ["somebody"]})
    assert load_errors(tmp_path / "e.json") == e
    assert json.loads((tmp_path / "e.json").read_text())["notes"] == {"fitted to": ["somebody"]}


def test_broken_tables_are_refused(tmp_path):
    (tmp_path / "e.json").write_text("{}")
    with pytest.raises(AssetError, match=r"landmark_errors\.py"):
        load_errors(tmp_path / "e.json")
    with pytest.raises(AssetError, match="cannot read"):
        load_errors(tmp_path / "missing.json")


def test_the_shipped_table_is_of_real_people():
    """Their limbs' signs are wrong less often than the quarter of rendered ones."""
    shipped = load_errors()
    assert max(e.flip for e in shipped.bones.values()) <= 0.15
    assert min(e.gain for e in shipped.bones.values()) > 0.3
