"""The world as it is known now."""

from dataclasses import replace

import numpy as np
from tilted_camera import CAMERA, PITCH, ROLL

from hmr_ros.config import HmrConfig, with_values
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.types import Frame, GravitySource
from hmr_ros.world.contact import true_contacts
from hmr_ros.world.feet import Soles
from hmr_ros.world.gravity import CameraPose, Gravity, rotation_of_tilt
from hmr_ros.world.live import LiveWorld
from hmr_ros.world.stand import runs
from hmr_ros.world.walk import walk_of

GIVEN = with_values(HmrConfig(), {"camera.pitch_deg": PITCH, "camera.roll_deg": ROLL, "world.feet": "always"})
R = rotation_of_tilt(PITCH, ROLL)


def frame_of(human):
    return Frame(human.frame, human.stamp_ns, np.zeros((4, 4, 3), np.uint8), CAMERA)


def run(world, humans, pose=None):
    return [world(frame_of(h), [h], pose)[0] for h in humans]


def swaying(humans):
    """As one camera recovers them: nearer and farther from frame to frame."""
    way = np.cumsum(np.random.default_rng(0).normal(0, 0.004, len(humans)))
    return [
        replace(h, joints=(j := h.joints + w * h.joints[0]), transl=h.transl + j[0] - h.joints[0])
        for h, w in zip(humans, way, strict=True)
    ]


def slide(humans, stands, soles):
    walk = walk_of(humans, np.broadcast_to(R, (len(humans), 3, 3)), soles)
    out = []
    for k in range(4):
        for rows in runs(stands[:, k]):
            if rows.stop - rows.start > 8:
                out.append(np.linalg.norm(np.ptp(walk.points[rows, k, :2], axis=0)))
    return np.median(out)


def test_feet_of_somebody_who_stands_stay(standing, open_body):
    soles = Soles(open_body)
    truth = walk_of(standing, np.broadcast_to(R, (len(standing), 3, 3)), soles)
    stands = true_contacts(truth.points, 30.0)
    seen = swaying(standing)
    assert slide(run(LiveWorld(open_body, GIVEN), seen), stands, soles) < slide(seen, stands, soles) / 2


def test_people_are_where_they_were_recovered_unless_feet_are_asked_for(standing, open_body):
    seen = swaying(standing)
    found = run(LiveWorld(open_body, with_values(GIVEN, {"world.feet": "files"})), seen)
    for before, after in zip(seen, found, strict=True):
        np.testing.assert_array_equal(before.joints, after.joints)
    assert np.mean([h.world.contacts.max() for h in found[10:]]) > 0.5


def test_the_past_alone_is_read(walking, open_body):
    """What comes later changes nothing: the first frames are the same in every stream that begins so."""
    whole = run(LiveWorld(open_body, GIVEN), walking)
    part = run(LiveWorld(open_body, GIVEN), walking[:30])
    for a, b in zip(part, whole[:30], strict=True):
        np.testing.assert_array_equal(a.joints, b.joints)
        np.testing.assert_array_equal(a.world.contacts, b.world.contacts)


def test_answers_fit_together(walking, open_body):
    for human in run(LiveWorld(open_body, GIVEN), swaying(walking)):
        world = human.world
        np.testing.assert_allclose(world.R_world_camera @ human.joints[0] + world.t_world_camera, world.root, atol=1e-9)
        again = open_body.joints(human.global_orient, human.body_pose, human.betas, human.transl)
        np.testing.assert_allclose(again, human.joints, atol=1e-6)
        assert world.source == GravitySource.PARAMETER and np.isfinite(world.velocity).all()


def test_nobody_and_a_reset(walking, open_body):
    world = LiveWorld(open_body, HmrConfig())
    assert world(frame_of(walking[0]), []) == []
    first = run(world, walking[:20])
    assert first[0].world.source == GravitySource.LEVEL and first[-1].world.source == GravitySource.ESTIMATE
    world.reset()
    assert run(world, walking[:1])[0].world.source == GravitySource.LEVEL


def test_a_source_that_is_not_there_is_named_once(walking, open_body, caplog):
    found = run(LiveWorld(open_body, with_values(HmrConfig(), {"world.gravity": "tf"})), walking[:3])
    assert caplog.text.count("world.gravity is tf, which the node and `hmr bag` alone have") == 1
    assert {h.world.source for h in found} == {GravitySource.LEVEL}


def test_nobody_asked_for_a_world(walking, open_body):
    world = LiveWorld(open_body, with_values(HmrConfig(), {"world.gravity": "none"}))
    assert run(world, walking[:5]) == walking[:5]


def test_a_camera_that_moves_with_its_frame_leaves_people_where_they_are(standing, open_body):
    """/tf says where the camera is at each stamp; feet stand in that frame, not in the camera's."""
    world, found = LiveWorld(open_body, HmrConfig()), []
    for i, human in enumerate(standing):
        shift = np.array([0.02 * i, 0.0, 0.0])  # of the camera, in the world
        seen = replace(human, joints=human.joints - R.T @ shift, transl=human.transl - R.T @ shift)
        place = Rigid(R, shift + np.array([0, 0, 2.2]))
        pose = CameraPose(Gravity(R[2], GravitySource.TF, 0.01), place, "odom")
        found.append(world(frame_of(human), [seen], pose)[0])
    roots = np.array([h.world.root for h in found])
    truth = np.array([R @ h.joints[0] + [0, 0, 2.2] for h in standing])
    np.testing.assert_allclose(roots, truth, atol=0.03)
    assert {h.world.frame for h in found} == {"odom"}
    assert np.linalg.norm(found[-1].world.velocity) < 0.2
    assert np.mean([h.world.contacts.max() for h in found[10:]]) > 0.5


def test_stamps_that_stand_still_or_jump(walking, open_body):
    """The same stamp twice, and a recording that begins anew."""
    world = LiveWorld(open_body, GIVEN)
    for human in (*walking[:3], walking[2], walking[0], replace(walking[1], stamp_ns=10**12)):
        (found,) = world(frame_of(human), [human])
        assert np.isfinite(found.joints).all() and np.isfinite(found.world.velocity).all()
