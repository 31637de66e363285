"""`hmr bag` takes gravity, and a moving camera's place, from /tf and Imu of the bag."""

import numpy as np
import pytest

from hmr_ros.cli import main
from hmr_ros.geometry.rotations import matrix_from_quaternion, quaternion_from_matrix
from hmr_ros.types import GravitySource
from hmr_ros.world.gravity import LEVEL, rotation_of_tilt

R = rotation_of_tilt(-4.0, 2.0)
ARGUMENTS = ["--recover", "kinematic", "--refine", "none"]


def stamped(t, stamp, frame):
    return t["std_msgs/msg/Header"](t["builtin_interfaces/msg/Time"](stamp // 10**9, stamp % 10**9), frame)


def transform(t, stamp, parent, child, rotation, place):
    w, x, y, z = quaternion_from_matrix(rotation)
    pose = t["geometry_msgs/msg/Transform"](
        t["geometry_msgs/msg/Vector3"](*place), t["geometry_msgs/msg/Quaternion"](x, y, z, w)
    )
    return t["geometry_msgs/msg/TransformStamped"](stamped(t, stamp, parent), child, pose)


def writes_transforms(topic, messages):
    """For `write_bag`: messages of (recorded, [(stamp, parent, child, rotation, place)]) on a topic."""

    def write(writer, types):
        kind = "tf2_msgs/msg/TFMessage"
        connection = writer.add_connection(topic, kind, typestore=types)
        for recorded, transforms in messages:
            message = types.types[kind]([transform(types.types, *each) for each in transforms])
            writer.write(connection, recorded, types.serialize_cdr(message, kind))

    return write


def writes_imu(topic, frame, stamps, acceleration):
    def write(writer, types):
        t, kind = types.types, "sensor_msgs/msg/Imu"
        vector, unknown = t["geometry_msgs/msg/Vector3"], np.zeros(9)
        connection = writer.add_connection(topic, kind, typestore=types)
        for stamp in stamps:
            message = t[kind](
                stamped(t, stamp, frame), t["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0), unknown,
                vector(0.0, 0.0, 0.0), unknown, vector(*acceleration), unknown,
            )  # fmt: skip
            writer.write(connection, stamp, types.serialize_cdr(message, kind))

    return write


def together(*writers):
    def write(writer, types):
        for one in writers:
            one(writer, types)

    return write


@pytest.fixture
def people(read_humans):
    """The people that `hmr bag` finds, one a frame."""

    def found(bag, out, *more):
        assert main(["bag", str(bag), str(out), *ARGUMENTS, *more]) == 0
        return [message.humans[0] for _, message in read_humans(out)]

    return found


def rotation(pose):
    q = pose.orientation
    return matrix_from_quaternion(np.array([q.w, q.x, q.y, q.z]))


def place(pose):
    return np.array([pose.position.x, pose.position.y, pose.position.z])


@pytest.mark.parametrize("extra", [[], ["--quality"]])
def test_a_camera_that_drives_and_turns(people, tmp_path, rendered, write_bag, bag_stamps, extra):
    """odom -> base moves, base -> optical is static; answers are those at the images' own stamps, between two
    transforms."""
    start = bag_stamps[0] - 10**9

    def base(stamp):
        yaw, s = 0.3 * (stamp - start) * 1e-9, np.sin
        turn = np.array([[np.cos(yaw), -s(yaw), 0], [s(yaw), np.cos(yaw), 0], [0, 0, 1.0]])
        return turn, np.array([0.5 * (stamp - start) * 1e-9, 0.0, 0.0])

    moving = [(s, [(s, "odom", "base", *base(s))]) for s in range(start, start + 3 * 10**9, 50_000_000)]
    static = writes_transforms("/tf_static", [(start, [(start, "base", "optical", R, [0.1, 0.0, 1.1])])])
    bag = write_bag(tmp_path / "in", rendered[0], others=together(writes_transforms("/tf", moving), static))
    for human, stamp in zip(people(bag, tmp_path / "out", *extra), bag_stamps, strict=True):
        turn, at = base(stamp)
        assert human.gravity_source == GravitySource.TF and human.world_frame == "odom"
        np.testing.assert_allclose(rotation(human.camera_world), turn @ R, atol=1e-5)
        np.testing.assert_allclose(place(human.camera_world), turn @ [0.1, 0.0, 1.1] + at, atol=1e-5)
        pelvis = rotation(human.camera_world) @ human.joints.reshape(24, 3)[0] + place(human.camera_world)
        np.testing.assert_allclose(place(human.root_world), pelvis, atol=1e-4)


@pytest.mark.parametrize("extra", [[], ["--quality"]])
def test_images_at_whose_stamp_the_frame_is_missing(people, tmp_path, rendered, write_bag, bag_stamps, caplog, extra):
    moving = [(s, [(s, "odom", "optical", R, [0.0, 0.0, 1.1])]) for s in bag_stamps[:5]]
    bag = write_bag(tmp_path / "in", rendered[0], others=writes_transforms("/tf", moving))
    found = people(bag, tmp_path / "out", *extra)
    assert [h.gravity_source for h in found] == [GravitySource.TF] * 5 + [GravitySource.NONE] * 3
    assert "people have no world: no transform from 'optical' to 'odom' at the image's stamp" in caplog.text


@pytest.mark.parametrize("extra", [[], ["--quality"]])
def test_an_imu_on_a_camera_that_stands_still(people, tmp_path, rendered, write_bag, bag_stamps, extra):
    """In its own frame, which /tf_static knows; it measures gravity, in axes that are not the camera's."""
    stamps = range(bag_stamps[0] - 10**8, bag_stamps[-1] + 10**8, 20_000_000)
    measured = (9.81 * (R @ LEVEL.T)[2]).tolist()  # x forward, z up
    mounting = writes_transforms("/tf_static", [(stamps[0], [(0, "optical", "imu", LEVEL.T, [0.0, 0.0, 0.0])])])
    bag = write_bag(
        tmp_path / "in", rendered[0], others=together(writes_imu("/imu/data", "imu", stamps, measured), mounting)
    )
    for human in people(bag, tmp_path / "out", *extra):
        assert human.gravity_source == GravitySource.IMU
        np.testing.assert_allclose(rotation(human.camera_world), R, atol=1e-5)


def test_an_imu_that_nobody_can_read(people, tmp_path, rendered, write_bag, bag_stamps, caplog):
    """NaN, several of which none is named, one that is not there: a line each, and nobody is lost."""
    stamps = range(bag_stamps[0] - 10**8, bag_stamps[-1], 20_000_000)
    nan = writes_imu("/imu", "optical", stamps, [float("nan"), 0.0, 9.81])
    other = writes_imu("/another", "optical", stamps, [0.0, -9.81, 0.0])
    bag = write_bag(tmp_path / "one", rendered[0], others=nan)
    assert {h.gravity_source for h in people(bag, tmp_path / "a")} == {GravitySource.LEVEL}
    assert caplog.text.count("no gravity from the Imu: the Imu's linear_acceleration is NaN") == 1
    bag = write_bag(tmp_path / "two", rendered[0], others=together(nan, other))
    assert {h.gravity_source for h in people(bag, tmp_path / "b")} == {GravitySource.LEVEL}
    assert caplog.text.count("several Imus: world.imu_topic takes one of /another, /imu") == 1
    config = tmp_path / "c.yaml"
    config.write_text("world: {imu_topic: another}")
    assert {h.gravity_source for h in people(bag, tmp_path / "c", "--config", str(config))} == {GravitySource.IMU}
    config.write_text("world: {imu_topic: lamp, gravity: imu}")
    assert {h.gravity_source for h in people(bag, tmp_path / "d", "--config", str(config))} == {GravitySource.NONE}
    assert "has no Imu topic /lamp; it has /another, /imu" in caplog.text


def test_what_the_configuration_says_goes_before_a_bag_that_is_not_asked(
    people, tmp_path, rendered, write_bag, bag_stamps
):
    static = writes_transforms("/tf_static", [(1, [(0, "odom", "optical", R, [0.0, 0.0, 1.1])])])
    bag = write_bag(tmp_path / "in", rendered[0], others=static)
    found = people(bag, tmp_path / "out", "--camera-pitch", "-9")
    assert {h.gravity_source for h in found} == {GravitySource.PARAMETER}
    np.testing.assert_allclose(rotation(found[0].camera_world), rotation_of_tilt(-9, 0), atol=1e-5)
