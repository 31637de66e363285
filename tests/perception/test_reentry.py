"""Who leaves the image and comes back is known again; another person who comes instead is not taken for them."""

from dataclasses import replace

import numpy as np

from hmr_ros.config import HmrConfig, with_values
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import render_motions
from hmr_ros.synth.scene import look_at
from hmr_ros.types import Frame

FPS = 10.0
IN_VIEW_M, OUTSIDE_M = -0.6, -3.6  # places on the floor; the left border is at -1.9 m
NEVER = 1e3


def walks(*visits):
    """x [F] m of somebody who is in view between pairs of seconds, walks in from the left and out to the left again."""
    seconds = np.arange(round(8.0 * FPS)) / FPS
    way = np.full(len(seconds), OUTSIDE_M)
    for enters, leaves in visits:
        inside = np.minimum(seconds - enters, leaves - seconds) * 2.0  # m/s
        way = np.maximum(way, np.minimum(OUTSIDE_M + inside, IN_VIEW_M))
    return way


def ids(ways, body, **tracker):
    """Ids in each frame of people who walk these ways, each in clothes of their own."""
    motion = demo_motion(FPS)
    rows = np.arange(len(ways[0])) % len(motion.poses)
    view = look_at(
        replace(guess_camera(480, 360), guessed=False), np.array([0.0, 1.15, 4.2]), np.array([0.0, 0.95, 0.0])
    )
    motions = []
    for k, way in enumerate(ways):
        trans = motion.trans[rows] * [0.0, 1.0, 0.0]
        trans[:, 0] += way
        trans[:, 2] -= 0.5 * k
        motions.append(replace(motion, poses=motion.poses[rows], trans=trans))
    config = with_values(HmrConfig(recover="kinematic", refine="none"), {f"tracker.{k}": v for k, v in tracker.items()})
    pipeline = build_pipeline(offline(config, as_live=True))
    out = []
    for k, (image, _) in enumerate(render_motions(motions, body, view, seed=5)):
        result = pipeline.step(Frame(k, round(k * 1e9 / FPS), image, view.camera))
        out.append([h.track_id for h in result.humans])
    return out


def between(answers, begin_s, end_s):
    return {i for k, found in enumerate(answers) if begin_s <= k / FPS < end_s for i in found}


def test_who_left_at_the_border_comes_back_with_their_id(open_body):
    """Nothing of them is seen from second 2.6 to 5."""
    answers = ids([walks((-NEVER, 3.0), (4.6, NEVER))], open_body)
    assert between(answers, 3.2, 5.0) == set()
    assert between(answers, 0, 3) == between(answers, 6, 8) == {0}
    assert between(answers, 0, 8) == {0}


def test_another_person_who_comes_instead_is_somebody_new(open_body):
    answers = ids([walks((-NEVER, 2.0), (5.5, NEVER)), walks((3.4, 5.4))], open_body)  # at the same border
    first, second, third = between(answers, 0, 1.5), between(answers, 3.5, 5.5), between(answers, 6.5, 8)
    assert len(first) == len(second) == 1 and first != second
    assert third == first


def test_who_is_away_for_longer_than_the_memory_is_somebody_new(open_body):
    answers = ids([walks((-NEVER, 3.0), (4.6, 6.0))], open_body, remember_s=1.0)
    assert between(answers, 0, 3) == {0} and between(answers, 5, 6) == {1}
