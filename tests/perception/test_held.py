"""What other networks say is held for a person who hardly moves, and asked anew otherwise."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from hmr_ros.config import HmrConfig
from hmr_ros.errors import AssetError
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.io.model_store import landmark_models
from hmr_ros.perception.held import HeldOpinion
from hmr_ros.perception.person import Person
from hmr_ros.types import Camera, Frame, Keypoints, LimbsSeen, Roi

IMAGE = np.zeros((4, 4, 3), np.uint8)
ROI = Roi(np.array([300.0, 200.0]), 200.0, 0.3)


@dataclass
class Glance:
    keypoints: Keypoints
    every_one: Keypoints


class Networks:
    """Two networks of which the first says `first`, and both together `every_one`."""

    def __init__(self, first, every_one, agreed=True, networks=2):
        self.first, self.every_one, self.agreed, self.networks = first, every_one, agreed, networks
        self.asked = 0

    def glance(self, image, roi):
        return Glance(self.first, self.every_one)

    def settled(self, glance):
        self.asked += 1
        return glance.every_one, self.agreed

    def with_limbs(self, keypoints, glance):
        return replace(keypoints, limbs=LimbsSeen(glance.keypoints.keypoints_2d[:12, :2], np.zeros(12), np.ones(12)))


def body(seed, near=None, off=0.0):
    rng = np.random.default_rng(seed)
    if near is None:
        spread = rng.normal(size=(33, 2, 2))
        covariance = spread @ spread.transpose(0, 2, 1) + np.eye(2)
        heat = np.c_[rng.uniform(220, 380, (33, 2)), covariance.reshape(-1, 4)[:, [0, 1, 3]], rng.uniform(1, 9, 33)]
        points = np.c_[rng.uniform(220, 380, (33, 2)), rng.uniform(0.5, 1, 33)]
        return Keypoints(points, rng.normal(size=(33, 3)), 0.9, ROI, heat=heat)
    points = near.keypoints_2d + np.c_[rng.normal(0, off, (33, 2)), np.zeros(33)]
    heat = near.heat * np.c_[np.ones((33, 2)), np.full((33, 3), 1.3), np.full(33, 0.8)]
    heat[:, :2] += rng.normal(0, off, (33, 2))
    world = near.keypoints_3d + rng.normal(0, 0.02, (33, 3))
    return replace(near, keypoints_2d=points, keypoints_3d=world, heat=heat, disagreement=0.013)


def looks(held, networks, count, every, **how):
    seen = []
    for _ in range(count):
        held.advance()
        seen.append(held.look(networks, IMAGE, ROI, every, **how))
    return seen


def same(a, b):
    for name in ("keypoints_2d", "keypoints_3d", "heat", "disagreement", "score"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-9, atol=1e-9)
    assert a.next_roi is b.next_roi


@pytest.mark.parametrize("every, asked", [(1, 6), (2, 3), (3, 2), (6, 1)])
def test_of_somebody_who_keeps_still_the_answer_stays_however_seldom_all_look(every, asked):
    networks = Networks(body(0), body(1, body(0), 4.0))
    for seen in looks(HeldOpinion(), networks, 6, every):
        same(seen, networks.every_one)
    assert networks.asked == asked


def moved(k, scale, angle, shift):
    """The same body in another place, size and turn, and the map of the plane."""
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    there = lambda p: scale * (p - ROI.center_px) @ turn.T + ROI.center_px + shift  # noqa: E731
    full = np.eye(3)
    full[:2, :2] = turn
    spread = (scale * turn) @ k.heat[:, [2, 3, 3, 4]].reshape(-1, 2, 2) @ (scale * turn).T
    heat = np.c_[there(k.heat[:, :2]), spread.reshape(-1, 4)[:, [0, 1, 3]], k.heat[:, 5]]
    points = np.c_[there(k.keypoints_2d[:, :2]), k.keypoints_2d[:, 2]]
    return replace(k, keypoints_2d=points, keypoints_3d=k.keypoints_3d @ full.T, heat=heat)


@pytest.mark.parametrize("scale, angle, shift", [(1.0, 0.0, (40.0, -9.0)), (1.7, 0.0, (0, 0)), (0.6, -1.1, (5.0, 8.0))])
def test_an_opinion_goes_with_the_crop(scale, angle, shift):
    """Networks that see the same in a crop of another place, size and turn are not asked again to say so."""
    first = body(2)
    networks, held = Networks(first, body(3, first, 4.0)), HeldOpinion()
    looks(held, networks, 1, 3)
    expected = moved(networks.every_one, scale, angle, shift)
    networks.first = moved(first, scale, angle, shift)
    held.advance()
    roi = Roi(ROI.center_px + shift, scale * ROI.size_px, ROI.angle_rad + angle)
    same(held.look(networks, IMAGE, roi, 3), expected)
    assert networks.asked == 1


def test_limbs_are_those_of_the_image_itself():
    """What the others change is held, not what the image shows of the limbs."""
    networks, held = Networks(body(6), body(7, body(6), 4.0)), HeldOpinion()
    looks(held, networks, 1, 3)
    networks.first = moved(networks.first, 1.0, 0.0, (1.0, 0.0))
    seen = looks(held, networks, 1, 3)[0]
    assert networks.asked == 1
    np.testing.assert_array_equal(seen.limbs.points_2d, networks.first.keypoints_2d[:12, :2])


def test_who_moves_an_arm_is_looked_at_again():
    first = body(4)
    networks, held = Networks(first, body(5, first, 4.0)), HeldOpinion()
    looks(held, networks, 1, 30)
    points = first.keypoints_2d.copy()
    points[15, :2] += 0.05 * ROI.size_px  # the left wrist
    networks.first = replace(first, keypoints_2d=points)
    assert looks(held, networks, 1, 30)[0] is networks.every_one and networks.asked == 2


def test_a_mirror_image_of_one_network_is_looked_at_every_time():
    networks = Networks(body(8), body(9, body(8), 4.0), networks=1)
    looks(HeldOpinion(), networks, 4, 3)
    assert networks.asked == 4


def test_of_who_comes_back_after_long_nothing_is_held():
    networks = Networks(body(10), body(11, body(10), 4.0))
    person = Person(0, networks.first)
    looks(person.opinion, networks, 1, 30)
    person.comes_back(networks.every_one)
    looks(person.opinion, networks, 1, 30)
    assert networks.asked == 2


def test_a_painted_image_is_another_and_doubtful_opinions_are_not_held():
    networks = Networks(body(6), body(7, body(6), 4.0))
    held = HeldOpinion()
    looks(held, networks, 1, 30)
    looks(held, networks, 1, 30, painted=True)
    assert networks.asked == 2
    networks.agreed = False
    held = HeldOpinion()
    looks(held, networks, 4, 30)
    assert networks.asked == 6


def test_a_person_who_is_followed_is_seen_nearly_as_by_all_networks_every_time(rendered):
    try:
        landmark_models("both")
    except AssetError as error:
        pytest.skip(str(error))
    images = rendered[0]
    config = offline(HmrConfig(threads=1, refine="none"))
    answers = []
    for every in (1, 3):
        tracker = build_pipeline(replace(config, tracker=replace(config.tracker, others_every=every))).tracker
        frames = [Frame(i, i * 33_000_000, image, Camera(np.eye(3), 1, 1)) for i, image in enumerate(images[:5])]
        answers.append([tracker.step(f)[0].keypoints for f in frames])
    for always, held in zip(*answers, strict=True):
        apart = np.linalg.norm(always.keypoints_2d[:, :2] - held.keypoints_2d[:, :2], axis=-1)
        assert np.median(apart) < 0.01 * always.next_roi.size_px
