"""Messages carry what the records say."""

from dataclasses import replace

import numpy as np
import pytest
from hmr_ros.msg import BodyModel, Human, HumanArray, HypothesisArray
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from hmr_ros.body.loading import load_body
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.io.calibration import camera_of_info
from hmr_ros.ros.convert import body_to_msg, humans_from_msg, humans_to_msg, hypotheses_to_msg
from hmr_ros.ros.markers import MeshMarkers, SkeletonMarkers, serialize_with_points
from hmr_ros.types import GravitySource, Hypotheses, TrackingState, WorldState


def header():
    out = Header(frame_id="optical")
    out.stamp.sec, out.stamp.nanosec = 1, 234_567_891
    return out


def test_humans_round_trip_over_the_wire(human):
    data = serialize_message(humans_to_msg([human], header()))
    (back,) = humans_from_msg(deserialize_message(data, HumanArray), human.frame)
    names = (
        "global_orient",
        "body_pose",
        "betas",
        "transl",
        "joints",
        "keypoints_2d",
        "joint_sigma",
        "joint_covariance",
    )
    for name in names:
        np.testing.assert_allclose(getattr(back, name), getattr(human, name), rtol=1e-6, err_msg=name)
    assert (back.stamp_ns, back.track_id, back.state) == (human.stamp_ns, 7, TrackingState.TRACKED)
    np.testing.assert_allclose(back.boxes_xyxy, human.boxes_xyxy)


def test_the_world_comes_through(human):
    R = matrix_from_axis_angle(np.array([0.3, -1.2, 0.7]))
    world = WorldState(
        R, np.array([0.1, 0.2, 1.5]), np.array([3.0, -1.0, 0.9]), np.array([0.4, 0.0, -0.1]),
        np.array([0.9, 0.8, 0.1, 0.0]), GravitySource.TF, 0.02, "odom", R.T,
    )  # fmt: skip
    data = serialize_message(humans_to_msg([replace(human, world=world), human], header()))
    placed, nowhere = humans_from_msg(deserialize_message(data, HumanArray))
    assert nowhere.world is None and (placed.world.source, placed.world.frame) == (GravitySource.TF, "odom")
    for name in ("R_world_camera", "t_world_camera", "root", "velocity", "contacts", "gravity_sigma", "body_axes"):
        np.testing.assert_allclose(getattr(placed.world, name), getattr(world, name), atol=1e-6, err_msg=name)


def test_hypotheses_come_through(human):
    rotations = matrix_from_axis_angle(np.random.default_rng(0).normal(size=(3, 24, 3)))
    joints = np.random.default_rng(1).normal(size=(3, 24, 3))
    sure = replace(human, hypotheses=Hypotheses(joints, rotations, np.array([0.5, 0.3, 0.2])))
    data = serialize_message(hypotheses_to_msg([human, sure], header()))
    (message,) = deserialize_message(data, HypothesisArray).humans
    assert (message.track_id, message.count) == (7, 3)
    np.testing.assert_allclose(np.reshape(message.joints, (3, 24, 3)), joints, rtol=1e-6)
    turned = matrix_from_axis_angle(np.reshape(message.rotations, (3, 24, 3)).astype(float))
    np.testing.assert_allclose(turned, rotations, atol=1e-5)
    np.testing.assert_allclose(message.weights, [0.5, 0.3, 0.2], rtol=1e-6)


def test_state_constants_agree():
    for state in TrackingState:
        assert getattr(Human, f"STATE_{state.name}") == state


def test_body_message_is_enough_to_pose_a_person():
    body = load_body()
    message = deserialize_message(serialize_message(body_to_msg(body)), BodyModel)
    rest = np.asarray(message.rest_joints).reshape(24, 3)
    directions = np.asarray(message.joint_shapedirs).reshape(24, 3, 10)
    betas = np.linspace(-1, 1, 10)
    np.testing.assert_allclose(rest + directions @ betas, body.rest_joints(betas), atol=1e-5)
    assert len(message.faces) == 3 * 13776 and message.parents[0] == -1
    weights = np.asarray(message.skin_weights).reshape(6890, 24)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-5)


def test_calibration_comes_through():
    info = CameraInfo(width=640, height=480, distortion_model="plumb_bob", d=[0.1, 0.0, 0.0, 0.0, 0.0])
    info.k = [500.0, 0.0, 320.0, 0.0, 501.0, 240.0, 0.0, 0.0, 1.0]
    camera = camera_of_info(info, False, 640, 480)
    assert camera.K[1, 1] == 501 and camera.distortion[0] == 0.1 and not camera.fisheye
    info.p = [400.0, 0.0, 310.0, 0.0, 0.0, 401.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    rectified = camera_of_info(info, True, 640, 480)
    assert rectified.K[1, 1] == 401 and rectified.distortion is None


def test_markers_are_stable_and_deleted_once(human):
    markers = SkeletonMarkers()
    first = markers([human], header()).markers
    assert [(m.ns, m.id, m.action) for m in first] == [("skeleton", 7, Marker.ADD), ("joints", 7, Marker.ADD)]
    assert len(first[0].points) == 2 * 23
    gone = markers([], header()).markers
    assert {(m.ns, m.id, m.action) for m in gone} == {("skeleton", 7, Marker.DELETE), ("joints", 7, Marker.DELETE)}
    assert not markers([], header()).markers


@pytest.mark.parametrize("frame_id", ["", "a", "abcd", "abcdefg", "camera_optical_frame"])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_spliced_points_deserialise(frame_id, count):
    points = np.random.default_rng(0).normal(size=(count, 3))
    marker = Marker(header=Header(frame_id=frame_id), ns="mesh", id=3, text="after the points")
    back = deserialize_message(serialize_with_points(marker, points), Marker)
    assert back.text == "after the points" and back.header.frame_id == frame_id
    np.testing.assert_array_equal(np.array([[p.x, p.y, p.z] for p in back.points]).reshape(-1, 3), points)


def test_mesh_marker_holds_the_posed_surface(human):
    body = load_body()
    meshes = MeshMarkers(body)
    (data,) = meshes([human], header())
    marker = deserialize_message(data, Marker)
    vertices = body.vertices(human.global_orient, human.body_pose, human.betas, human.transl)
    p = marker.points[4]
    np.testing.assert_allclose([p.x, p.y, p.z], vertices[body.faces[1, 1]])
    assert deserialize_message(meshes([], header())[0], Marker).action == Marker.DELETE
