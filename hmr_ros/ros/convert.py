"""Between the records of the pipeline and ROS messages."""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

import hmr_ros.body.model as body_model
from hmr_ros.body.axes import pelvis_pose
from hmr_ros.body.joints import SMPL_JOINTS, SMPL_PARENTS
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_quaternion
from hmr_ros.io.encodings import image_bytes, stamp_ns
from hmr_ros.msg import BodyModel, Human, HumanArray, Hypotheses, HypothesisArray
from hmr_ros.ros.frames import PLAIN, fill_pose, person_id
from hmr_ros.types import (
    MESSAGE_ARRAYS,
    Floats,
    GravitySource,
    PelvisState,
    ScaleSource,
    TrackingState,
    WorldState,
)
from hmr_ros.types import Human as HumanRecord


def humans_to_msg(humans: list[HumanRecord], header: Header, prefix: str = PLAIN) -> HumanArray:
    """People of one image as a message with this header; `prefix` of their frames gives their ids."""
    return HumanArray(header=header, humans=[_human_to_msg(h, prefix) for h in humans])


def hypotheses_to_msg(humans: list[HumanRecord], header: Header) -> HypothesisArray:
    """The hypotheses of everybody who has some."""
    array = HypothesisArray(header=header)
    for human in humans:
        if human.hypotheses is not None:
            message = Hypotheses(track_id=human.track_id, count=len(human.hypotheses.weights))
            _fill(message.joints, human.hypotheses.joints, np.float32)
            _fill(message.rotations, axis_angle_from_matrix(human.hypotheses.rotations), np.float32)
            _fill(message.weights, human.hypotheses.weights, np.float32)
            array.humans.append(message)
    return array


def humans_from_msg(message: HumanArray, frame: int = 0) -> list[HumanRecord]:
    """The people of a message; the frame number is not part of it and taken from the argument."""
    stamp = stamp_ns(message.header.stamp)
    return [_human_from_msg(m, stamp, frame) for m in message.humans]


def body_to_msg(body: body_model.BodyModel) -> BodyModel:
    """Everything a consumer needs to pose and draw the body."""
    message = BodyModel(name=body.name, joint_names=list(SMPL_JOINTS), parents=SMPL_PARENTS.tolist())
    _fill(message.rest_joints, body.rest_joints(np.zeros(body_model.NUM_BETAS)), np.float32)
    _fill(message.joint_shapedirs, body.joint_shapedirs, np.float32)
    _fill(message.vertices, body.v_template, np.float32)
    _fill(message.faces, body.faces, np.uint32)
    _fill(message.skin_weights, body.weights, np.float32)
    return message


def image_to_msg(image: Any, header: Header) -> Image:
    """BGR [H,W,3] -> sensor_msgs/Image."""
    height, width = image.shape[:2]
    return Image(header=header, height=height, width=width, encoding="bgr8", step=3 * width, data=image_bytes(image))


def _human_to_msg(human: HumanRecord, prefix: str) -> Human:
    message = Human(track_id=human.track_id, score=float(human.score), body_model=human.body_model)
    x0, y0, x1, y1 = (max(0, round(float(v))) for v in human.boxes_xyxy)
    message.bbox.x_offset, message.bbox.y_offset = x0, y0
    message.bbox.width, message.bbox.height = max(0, x1 - x0), max(0, y1 - y0)
    for name in MESSAGE_ARRAYS:
        setattr(message, name, np.asarray(getattr(human, name), np.float32).reshape(-1))
    message.tracking_state = int(human.state)
    message.id = person_id(f"{prefix}{human.track_id}")
    message.scale_source = int(human.scale)
    message.k = human.K.reshape(-1)
    _fill_pelvis(message, human)
    _fill_world(message, human)
    return message


def _fill_pelvis(message: Human, human: HumanRecord) -> None:
    """Pose, velocity and covariances; zero covariances where nobody followed the person over time."""
    fill_pose(message.pelvis.pose, *pelvis_pose(human))
    state = human.pelvis
    if state is None:
        return
    message.pelvis.covariance = state.pose_covariance.reshape(-1)
    speed, turn = message.pelvis_velocity.twist.linear, message.pelvis_velocity.twist.angular
    speed.x, speed.y, speed.z, turn.x, turn.y, turn.z = state.velocity.tolist()
    message.pelvis_velocity.covariance = state.velocity_covariance.reshape(-1)


def _fill_world(message: Human, human: HumanRecord) -> None:
    """Zero, and no gravity source, where nobody knows which way is up."""
    world = human.world
    if world is None:
        return
    message.gravity_source, message.gravity_sigma = int(world.source), world.gravity_sigma
    message.world_frame = world.frame
    fill_pose(message.camera_world, world.R_world_camera, world.t_world_camera)
    fill_pose(message.root_world, world.body_axes, world.root)
    speed = message.root_velocity
    speed.x, speed.y, speed.z = world.velocity.tolist()
    message.contacts = np.asarray(world.contacts, np.float32)


def _world_of(message: Human) -> WorldState | None:
    if message.gravity_source == GravitySource.NONE:
        return None
    camera, root, speed = message.camera_world, message.root_world, message.root_velocity
    return WorldState(
        _rotation_of(camera), _position_of(camera), _position_of(root), np.array([speed.x, speed.y, speed.z]),
        np.array(message.contacts, np.float64), GravitySource(message.gravity_source), message.gravity_sigma,
        message.world_frame, body_axes=_rotation_of(root),
    )  # fmt: skip


def _position_of(pose: Any) -> Floats:
    return np.array([pose.position.x, pose.position.y, pose.position.z])


def _rotation_of(pose: Any) -> Floats:
    q = pose.orientation
    return matrix_from_quaternion(np.array([q.w, q.x, q.y, q.z]))


def _pelvis_of(message: Human) -> PelvisState | None:
    if not np.any(message.pelvis.covariance):
        return None
    at, q = message.pelvis.pose.position, message.pelvis.pose.orientation
    speed, turn = message.pelvis_velocity.twist.linear, message.pelvis_velocity.twist.angular
    rotation = matrix_from_quaternion(np.array([q.w, q.x, q.y, q.z]))
    return PelvisState(
        np.array([at.x, at.y, at.z]), rotation, np.array([speed.x, speed.y, speed.z, turn.x, turn.y, turn.z]),
        np.array(message.pelvis.covariance).reshape(6, 6), np.array(message.pelvis_velocity.covariance).reshape(6, 6),
    )  # fmt: skip


def _human_from_msg(message: Human, stamp: int, frame: int) -> HumanRecord:
    box = message.bbox
    corners = [box.x_offset, box.y_offset, box.x_offset + box.width, box.y_offset + box.height]

    def array(name: str, *shape: int) -> Floats:
        return np.asarray(getattr(message, name), np.float64).reshape(shape)

    return HumanRecord(
        frame=frame, stamp_ns=stamp, track_id=message.track_id, state=TrackingState(message.tracking_state),
        score=message.score, boxes_xyxy=np.array(corners, np.float64), keypoints_2d=array("keypoints_2d", 33, 3),
        global_orient=array("global_orient", 3), body_pose=array("body_pose", 69), betas=array("betas", 10),
        transl=array("transl", 3), joints=array("joints", 24, 3), joints_2d=array("joints_2d", 24, 2),
        joint_covariance=array("joint_covariance", 24, 6), K=array("k", 3, 3), body_model=message.body_model,
        scale=ScaleSource(message.scale_source), pelvis=_pelvis_of(message), world=_world_of(message),
    )  # fmt: skip


def _fill(field: Any, values: Any, dtype: Any) -> None:
    """Variable-length field (array.array) from an array without a copy element by element."""
    field.frombytes(np.ascontiguousarray(values, dtype).tobytes())
