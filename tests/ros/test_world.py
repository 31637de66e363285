"""Gravity from /tf, from an Imu and from parameters, as the running node takes it."""

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from hmr_ros.msg import Human
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Imu
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from hmr_ros.geometry.rotations import quaternion_from_matrix
from hmr_ros.ros.convert import humans_from_msg
from hmr_ros.types import GravitySource
from hmr_ros.world.gravity import LEVEL, rotation_of_tilt

R = rotation_of_tilt(-4.0, 2.0)


def mounted(parent, height):
    t = TransformStamped(header=Header(frame_id=parent), child_frame_id="optical")
    t.transform.translation.z = height
    q = t.transform.rotation
    q.w, q.x, q.y, q.z = quaternion_from_matrix(R).tolist()
    return t


def somebody(r):
    """People of the newest answer that has some."""
    return next((humans_from_msg(a) for a in reversed(r.answers) if a.humans), [])


def has(r, source):
    return lambda: any(h.world is not None and h.world.source == source for h in somebody(r))


def test_a_frame_on_tf_is_the_world_and_people_hang_on_it(robot, rendered):
    r = robot()
    r.node.autostart()
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    tf = r.client.create_publisher(TFMessage, "/tf_static", latched)
    tf.publish(TFMessage(transforms=[mounted("odom", 1.1)]))
    frames = []
    r.client.create_subscription(TFMessage, "/tf", lambda m: frames.extend(m.transforms), 100)
    r.show(rendered[0][0], has(r, GravitySource.TF))
    r.show(rendered[0][0], lambda: any(f.header.frame_id == "odom" for f in frames))
    (human,) = somebody(r)
    assert human.world.frame == "odom"
    np.testing.assert_allclose(human.world.R_world_camera, R, atol=1e-6)
    np.testing.assert_allclose(R @ human.joints[0] + [0, 0, 1.1], human.world.root, atol=1e-5)
    frame = next(f for f in frames if f.header.frame_id == "odom")
    at = frame.transform.translation
    assert frame.child_frame_id == "body_p0"
    np.testing.assert_allclose([at.x, at.y, at.z], human.world.root, atol=0.25)  # between the hips


@pytest.mark.parametrize("frame", ["optical", "imu"])
def test_an_imu_of_a_camera_that_stands_still(robot, rendered, frame):
    """In the images' frame; in another one that /tf does not know it says nothing, and people do."""
    r = robot("-p", "world.imu_topic:=imu")
    r.node.autostart()
    imu = r.client.create_publisher(Imu, "imu", 10)
    message = Imu(header=Header(frame_id=frame))
    a = message.linear_acceleration
    a.x, a.y, a.z = (9.81 * R[2]).tolist()

    def publish(wanted):
        imu.publish(message)
        return has(r, wanted)()

    wanted = GravitySource.IMU if frame == "optical" else GravitySource.LEVEL
    r.show(rendered[0][0], lambda: publish(wanted))
    if frame == "optical":
        (human,) = [h for h in somebody(r) if h.world is not None]
        np.testing.assert_allclose(human.world.R_world_camera, R, atol=1e-6)


def test_an_imu_of_nan_is_named_and_nobody_is_lost(robot, rendered):
    r = robot("-p", "world.imu_topic:=imu", "-p", "world.gravity:=imu")
    r.node.autostart()
    imu = r.client.create_publisher(Imu, "imu", 10)
    message = Imu(header=Header(frame_id="optical"))
    message.linear_acceleration.x = float("nan")

    def published():
        imu.publish(message)
        return bool(somebody(r))

    r.show(rendered[0][0], published)
    assert somebody(r)[0].world is None
    assert r.answers[-1].humans[0].gravity_source == Human.GRAVITY_NONE


def test_parameters_say_it_and_change_at_once(robot, rendered):
    r = robot("-p", "camera.pitch_deg:=-4.0", "-p", "camera.roll_deg:=2.0", "-p", "camera.height_m:=1.1")
    r.node.autostart()
    r.show(rendered[0][0], has(r, GravitySource.PARAMETER))
    (human,) = somebody(r)
    np.testing.assert_allclose(human.world.R_world_camera, R, atol=1e-6)
    np.testing.assert_allclose(human.world.t_world_camera, [0, 0, 1.1], atol=1e-6)
    assert r.set("camera.pitch_deg", double_value=-9.0).successful
    steep = rotation_of_tilt(-9.0, 2.0)
    r.show(rendered[0][0], lambda: np.allclose(somebody(r)[0].world.R_world_camera, steep, atol=1e-6))
    assert not r.set("camera.pitch_deg", double_value=99.0).successful
    assert r.set("camera.orientation", string_value="-0.5,0.5,-0.5,0.5").successful  # goes before them
    r.show(rendered[0][0], lambda: np.allclose(somebody(r)[0].world.R_world_camera, LEVEL, atol=1e-6))
    refused = r.set("camera.orientation", string_value="0,0,0,0")
    assert not refused.successful and "has the length 0" in refused.reason


def test_a_frame_that_is_asked_for_and_missing_is_done_without(robot, rendered):
    r = robot("-p", "world.frame:=lamp", "-p", "output.target_timeout_s:=0.0")
    r.node.autostart()
    r.show(rendered[0][0], lambda: bool(somebody(r)))
    assert somebody(r)[0].world.source == GravitySource.LEVEL  # auto: what is next


def test_source_constants_agree():
    for source in GravitySource:
        assert getattr(Human, f"GRAVITY_{source.name}") == source
