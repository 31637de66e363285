"""People in one scene stand on its floor, hide each other as their depths say, and go where they were sent."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL
from hmr_ros.errors import ConfigError
from hmr_ros.geometry.camera import guess_camera, project
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.synth.crowd import PLACES, arranged, seen_of, silhouette_px
from hmr_ros.synth.depth import floor_height
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import placed_in, render_motions
from hmr_ros.synth.scene import look_at
from hmr_ros.types import Camera

CAMERA = replace(guess_camera(160, 120), guessed=False)
VIEW = look_at(CAMERA, np.array([0.0, 1.2, 4.0]), np.array([0.0, 0.9, 0.0]))


def motions(count, fps=10.0):
    whole = demo_motion(fps)
    return [replace(whole, poses=whole.poses[9 * k :], trans=whole.trans[9 * k :]) for k in range(count)]


def standing(body, x, z, arms_down=False):
    """Somebody upright at x, z m of the world, who faces the camera."""
    trans = np.array([x, 0.95, z]) - body.rest_joints(np.zeros(10))[0]
    pose = np.zeros((24, 3))
    if arms_down:
        pose[[SMPL["left_shoulder"], SMPL["right_shoulder"]], 2] = [-1.2, 1.2]
    return placed_in(VIEW, body, pose.reshape(72), trans, np.zeros(10))


@pytest.mark.parametrize("place", [p for p in PLACES if p != "own"])
@pytest.mark.parametrize("seed", [0, 5])
def test_everybody_stands_on_the_floor_for_equally_long(open_body, place, seed):
    people, view = arranged(motions(3), open_body, place, CAMERA, seed)
    assert len({len(m.poses) for m in people}) == 1
    for motion in people:
        assert floor_height(motion, open_body) == pytest.approx(0.0, abs=1e-6)
        middle = motion.trans[len(motion.trans) // 2] @ view.R_camera_world.T + view.t_camera_world
        assert 2.0 < middle[2] < 9.0


def test_own_places_stay(open_body):
    given = motions(1)
    people, _ = arranged(given, open_body, "own", CAMERA, 0)
    np.testing.assert_array_equal(people[0].trans, given[0].trans)
    np.testing.assert_array_equal(people[0].poses, given[0].poses)


def test_who_crosses_changes_sides_and_looks_where_they_go(open_body):
    people, view = arranged(motions(2), open_body, "crossing", CAMERA, 3)
    across = [(m.trans @ view.R_camera_world.T)[:, 0] for m in people]
    assert across[0][0] < across[1][0] and across[0][-1] > across[1][-1]
    for motion, way in zip(people, across, strict=True):
        front = matrix_from_axis_angle(motion.poses[:, :3])[..., 2].mean(0) @ view.R_camera_world.T
        assert np.sign(front[0]) == np.sign(way[-1] - way[0])


def test_nobody_of_a_crowd_stands_in_another(open_body):
    people, _ = arranged(motions(5), open_body, "crowd", CAMERA, 1)
    at = np.array([m.trans.mean(0)[[0, 2]] for m in people])
    apart = np.linalg.norm(at[:, None] - at[None], axis=-1) + 10 * np.eye(5)
    assert apart.min() > 0.5
    assert len({tuple(m.betas) for m in people}) == 5  # own shapes


def test_another_frame_rate_is_that_of_the_first(open_body):
    people, _ = arranged([*motions(1, fps=10.0), *motions(1, fps=30.0)], open_body, "side-by-side", CAMERA, 0)
    np.testing.assert_allclose(people[0].poses[:, 3:], people[1].poses[:, 3:], atol=0.15)


def test_an_unknown_place_is_named(open_body):
    with pytest.raises(ConfigError, match="crossing, side-by-side, crowd, following"):
        arranged(motions(2), open_body, "heap", CAMERA, 0)


def test_the_nearer_person_hides_the_farther(open_body):
    near, far = standing(open_body, 0.0, 1.0, arms_down=True), standing(open_body, 0.05, 0.0)
    beside = standing(open_body, 1.6, 0.0, arms_down=True)
    rows = [near, far, beside]
    seen = seen_of([p.joints for p in rows], [p.vertices for p in rows], open_body.faces, CAMERA)
    (near_joints, near_share), (far_joints, far_share), (beside_joints, beside_share) = seen
    assert near_joints.all() and beside_joints.all()
    assert near_share == pytest.approx(1.0, abs=0.06) and beside_share == pytest.approx(1.0, abs=0.06)
    assert not far_joints[[SMPL["spine2"], SMPL["pelvis"], SMPL["left_hip"]]].any() and far_share < 0.5
    assert far_joints[[SMPL["left_hand"], SMPL["right_hand"]]].any()  # the arms are wider than who stands before


def test_what_lies_outside_the_image_is_not_seen(open_body):
    half = standing(open_body, VIEW.t_camera_world[2] * 80 / CAMERA.K[0, 0], 0.0)  # on the right border
    ((joints, share),) = seen_of([half.joints], [half.vertices], open_body.faces, CAMERA)
    px = project(half.joints, CAMERA.K)
    np.testing.assert_array_equal(joints, (px[:, 0] >= 0) & (px[:, 0] <= CAMERA.width - 1))
    assert 0.35 < share < 0.65 and 5 < joints.sum() < 20


def test_a_silhouette_grows_with_the_square_of_the_focal_length(open_body):
    mesh = standing(open_body, 0.3, 0.0).vertices
    twice = np.diag([2.0, 2.0, 1.0]) @ CAMERA.K
    one, four = (silhouette_px(mesh, open_body.faces, K) for K in (CAMERA.K, twice))
    assert four == pytest.approx(4 * one, rel=0.02)


def test_images_show_everybody_at_their_places(open_body):
    people, view = arranged(motions(2), open_body, "side-by-side", CAMERA, 2)
    people = [replace(m, poses=m.poses[:1], trans=m.trans[:1]) for m in people]
    ((both, truths),) = list(render_motions(people, open_body, view, 7))
    assert len(truths) == 2 and all(t.visible_share > 0.5 for t in truths)
    ((alone, _),) = list(render_motions(people[:1], open_body, view, 7))
    added = np.argwhere((both != alone).any(-1))
    px = project(truths[1].vertices, Camera(view.camera.K, 0, 0).K)
    assert (added[:, 1] >= px[:, 0].min() - 1).all() and (added[:, 1] <= px[:, 0].max() + 1).all()
