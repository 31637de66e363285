"""The flow: people of several cameras in, people with ids of the common frame out."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.axes import between_hips, moved
from hmr_ros.fusion.fusion import CameraView, Fusion
from hmr_ros.perception.pelvis import PelvisMemory
from hmr_ros.types import Camera, ScaleSource, TrackingState

FPS = 15.0
NEW, TRACKED, RECOVERED, SEARCHING = TrackingState


def stamp(k):
    return round(k * 1e9 / FPS)


def walk(person, k):
    """Two people on opposite ways who pass at 0.5 m around k = 22."""
    way = 1.0 - 2.0 * person
    return (way * (0.8 * k / FPS - 1.2), 0.9, 0.25 * way), way * np.pi / 2


@pytest.fixture
def stage(cameras, poses, seen_by, open_body):
    """What the nodes of two cameras say of the same people, and the fusion of it."""

    class Stage:
        def __init__(self):
            self.fusion = Fusion(open_body)
            self.memories = [PelvisMemory(), PelvisMemory()]
            self.rng = np.random.default_rng(0)

        def human(self, camera, k, place, yaw, track_id, noise_m=0.01, state=TRACKED):
            human = seen_by(cameras[camera], place, yaw, track_id=track_id, stamp_ns=stamp(k))
            noise = self.rng.normal(0, noise_m, 3) + self.rng.normal(0, noise_m, (24, 3))
            # one camera tells the distance worst
            far = 1.0 + self.rng.normal(0, 2 * noise_m)
            joints = far * human.joints + noise
            shift = joints[0] - human.joints[0]
            return replace(human, joints=joints, transl=human.transl + shift, state=state)

        def say(self, k, views):
            """`views`: camera -> people; the answer."""
            said = {}
            for camera, people in views.items():
                view = Camera(cameras[camera].camera.K, 640, 480)
                followed = self.memories[camera](stamp(k), people, view)
                said[str(camera)] = CameraView(stamp(k), followed, poses[camera])
            return self.fusion(stamp(k), said)

    return Stage()


def test_ids_are_not_used_again_after_a_reset(stage):
    def ids(k):
        return [h.track_id for h in stage.say(k, {c: [stage.human(c, k, (0.2, 0.9, 0.0), 0.3, 0)] for c in (0, 1)})]

    first = [ids(k) for k in range(3)][-1]
    assert ids(300) not in ([], first)  # after a gap
    before = ids(301)
    stage.fusion.reset()
    assert ids(302) not in ([], first, before)


def nearest(human, k):
    """The true one of the two who walk."""
    return int(np.argmin([np.linalg.norm(human.joints[0] - walk(p, k)[0]) for p in (0, 1)]))


def owners(answers):
    """id -> the true people whom it was given to."""
    given = {}
    for k, people in answers:
        for human in people:
            if human.state != SEARCHING:
                given.setdefault(human.track_id, set()).add(nearest(human, k))
    return given


def test_two_people_in_two_cameras_are_two(stage):
    answers = []
    for k in range(45):
        views = {c: [stage.human(c, k, *walk(p, k), track_id=(p + c) % 2) for p in (0, 1)] for c in (0, 1)}
        answers.append((k, stage.say(k, views)))
    assert all(len(people) == 2 for _, people in answers)
    given = owners(answers)
    assert len(given) == 2 and all(len(who) == 1 for who in given.values())
    assert {h.state for h in answers[0][1]} == {NEW} and {h.state for h in answers[-1][1]} == {TRACKED}
    assert all(h.scale is ScaleSource.CAMERAS for _, people in answers for h in people)


@pytest.mark.parametrize("swapped", [(0,), (1,), (0, 1)])
def test_cameras_that_mix_up_who_is_who_do_not_mix_them_here(stage, swapped):
    """Each camera loses the covered one while they pass, and has the ids the other way round afterwards."""
    answers = []
    for k in range(45):
        views = {}
        for c in (0, 1):
            people = [stage.human(c, k, *walk(p, k), track_id=p) for p in (0, 1)]
            covered = 16 <= k < 21 if c == 0 else 24 <= k < 29
            after = k >= (21 if c == 0 else 29)
            if c in swapped and after:
                people = [replace(h, track_id=1 - h.track_id) for h in people]
            views[c] = people[:1] if covered else people
        answers.append((k, stage.say(k, views)))
    given = owners(answers)
    assert len(given) == 2 and all(len(who) == 1 for who in given.values()), given


def test_one_camera_alone_is_passed_on_in_the_common_frame(stage, poses):
    (human,) = stage.say(0, {1: [stage.human(1, 0, (0.2, 0.9, 0.1), 0.0, 5)]})
    expected = stage.memories[1]._people[5].last
    np.testing.assert_allclose(human.joints, moved(expected, poses[1]).joints, atol=1e-9)
    np.testing.assert_allclose(human.joint_covariance, moved(expected, poses[1]).joint_covariance, atol=1e-12)
    assert human.track_id == 0 and human.scale is ScaleSource.INTRINSICS and human.state is NEW


def test_a_person_goes_on_where_one_camera_loses_them_and_comes_back(stage):
    answers = []
    for k in range(40):
        cameras = (0, 1) if k < 10 or k >= 30 else (0,) if k < 20 else (1,)
        people = stage.say(
            k, {c: [stage.human(c, k, *walk(0, k), 3)] for c in cameras} | {c: [] for c in {0, 1} - {*cameras}}
        )
        answers.append(list(people))
    assert {h.track_id for people in answers for h in people} == {0}
    assert all(len(people) == 1 for people in answers)


def test_out_of_every_cameras_sight_a_person_is_searched_then_recovered(stage):
    states = []
    for k in range(30):
        seen = k < 10 or k >= 16
        people = stage.say(k, {c: [stage.human(c, k, *walk(0, k), 0)] if seen else [] for c in (0, 1)})
        (human,) = people
        states.append(human.state)
        assert human.track_id == 0 and np.linalg.norm(human.joints[0] - walk(0, k)[0]) < 0.15
    assert states == [NEW] + [TRACKED] * 9 + [SEARCHING] * 6 + [RECOVERED] + [TRACKED] * 13


def test_who_is_gone_for_long_is_somebody_new(stage):
    for k in (*range(5), *range(40, 45)):
        (human,) = stage.say(k, {c: [stage.human(c, k, (0.0, 0.9, 0.0), 0.0, k // 40)] for c in (0, 1)})
        assert human.track_id == k // 40


def test_people_who_were_taken_for_two_become_one(stage):
    """Camera 1's person stands elsewhere at first."""
    answers = []
    for k in range(20):
        place = (0.0, 0.9, 0.0) if k >= 8 else (0.0, 0.9, 1.5)
        views = {0: [stage.human(0, k, (0.0, 0.9, 0.0), 0.0, 0)], 1: [stage.human(1, k, place, 0.0, 0)]}
        answers.append(stage.say(k, views))
    assert len(answers[5]) == 2 and [h.track_id for h in answers[-1]] == [0]


def test_people_who_were_taken_for_one_become_two(stage):
    """Two people, of whom each camera sees one, stand where both rays cross; then each walks away from their camera."""
    answers = []
    for k in range(50):
        away = 0.06 * max(0, k - 5)
        views = {
            0: [stage.human(0, k, (away, 0.9, -away), 0.0, 0)],
            1: [stage.human(1, k, (-away, 0.9, -away), 0.0, 0)],
        }
        answers.append(stage.say(k, views))
    assert len(answers[3]) == 1 and len(answers[-1]) == 2
    assert len({h.track_id for h in answers[-1]}) == 2


def test_a_camera_half_a_period_late_is_carried_to_the_moment(stage, cameras, poses):
    """The person walks at 0.8 m/s; both cameras' words meet at the newer stamp."""
    half = round(0.5e9 / FPS)
    errors = []
    for k in range(30):
        early, late = (stage.human(c, k + 0.5 * c, *walk(0, k + 0.5 * c), 0, noise_m=0.002) for c in (0, 1))
        views = {}
        for c, human in enumerate((early, late)):
            at = stamp(k) + c * half
            said = stage.memories[c](at, [human], Camera(cameras[c].camera.K, 640, 480))
            views[str(c)] = CameraView(at, said, poses[c])
        (human,) = stage.fusion(stamp(k) + half, views)
        errors.append(np.linalg.norm(human.joints[0] - walk(0, k + 0.5)[0]))
    assert human.stamp_ns == stamp(29) + half
    assert np.median(errors[10:]) < 0.012


def test_velocity_is_the_walkers(stage):
    for k in range(40):
        (human,) = stage.say(k, {c: [stage.human(c, k, *walk(0, k), 0)] for c in (0, 1)})
    np.testing.assert_allclose(human.pelvis.velocity[:3], [0.8, 0.0, 0.0], atol=0.25)
    np.testing.assert_allclose(human.pelvis.position, between_hips(human), atol=1e-9)
    assert np.linalg.eigvalsh(human.pelvis.pose_covariance).min() > 0


def test_stamps_that_jump_back_begin_another_scene(stage):
    stage.say(100, {0: [stage.human(0, 100, (0.0, 0.9, 0.0), 0.0, 0)]})
    (human,) = stage.say(0, {0: [stage.human(0, 0, (0.5, 0.9, 0.0), 0.0, 0)]})
    assert human.state is NEW and human.track_id == 1
