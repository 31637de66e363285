"""In a hurry far people are followed in every other frame, and nobody is lost by it."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from hmr_ros.config import HmrConfig, with_values
from hmr_ros.factory import build_pipeline
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.perception.pelvis import PelvisMemory
from hmr_ros.types import Frame, TrackingState

PEOPLE, NEAR, AT_HOME = 6, 3, 45  # at home after so many frames


@pytest.fixture(scope="module")
def crowd(rendered):
    """Two rows of three: the upper ones, one and a half times as large, are nearer."""
    near = cv2.resize(rendered[0][0][60:, 120:330], (420, 600))
    far = cv2.resize(near, (280, 400))
    rows = [np.hstack([near] * 3), np.pad(np.hstack([far] * 3), ((0, 0), (0, 420), (0, 0)), constant_values=120)]
    return np.vstack(rows)


@pytest.fixture(scope="module")
def answers(crowd):
    """Humans of each frame, those whom memory adds too: at leisure, in a hurry, at leisure."""
    values = {"detector.max_checks_per_frame": PEOPLE, "detector.kind": "blazepose"}
    pipeline = build_pipeline(with_values(HmrConfig(recover="kinematic", refine="none", threads=1), values))
    memory, found = PelvisMemory(), []
    camera = guess_camera(crowd.shape[1], crowd.shape[0])
    for i in range(AT_HOME + 20):
        pipeline.hurry(AT_HOME <= i < AT_HOME + 12)
        frame = Frame(i, i * 33_000_000, crowd, camera)
        humans = pipeline.step(frame).humans
        found.append(memory(frame.stamp_ns, humans, camera))
        pipeline.search(frame)
    return found


def seen(humans):
    return {h.track_id for h in humans if h.state is not TrackingState.SEARCHING}


def test_near_people_are_in_every_frame_and_far_ones_in_every_other(answers):
    everybody = seen(answers[AT_HOME - 1])
    assert len(everybody) == PEOPLE
    sizes = {h.track_id: h.boxes_xyxy[3] - h.boxes_xyxy[1] for h in answers[AT_HOME - 1]}
    near = set(sorted(sizes, key=lambda i: -sizes[i])[:NEAR])
    hurried = answers[AT_HOME : AT_HOME + 12]
    for humans, following in pairwise(hurried):
        assert near <= seen(humans) < everybody
        assert seen(humans) | seen(following) == everybody
    assert seen(answers[-1]) == everybody


def test_who_is_left_out_is_expected_where_they_are_and_comes_back_as_tracked(answers):
    by_id = {h.track_id: h.joints[0] for h in answers[AT_HOME - 1]}
    for humans in answers[AT_HOME : AT_HOME + 12]:
        assert {h.track_id for h in humans} == by_id.keys()
        states = {h.state for h in humans}
        assert states == {TrackingState.TRACKED, TrackingState.SEARCHING}
        assert all(np.linalg.norm(h.joints[0] - by_id[h.track_id]) < 0.3 for h in humans)
    assert {h.state for h in answers[-1]} == {TrackingState.TRACKED}


def test_a_few_people_are_all_near(rendered):
    pipeline = build_pipeline(HmrConfig(recover="kinematic", refine="none", threads=1))
    pipeline.hurry(True)
    for i in range(AT_HOME + 6):
        frame = Frame(i, i * 33_000_000, rendered[0][0], rendered[2])
        humans = pipeline.step(frame).humans
        pipeline.search(frame)
        assert i < 2 or len(humans) == 1
