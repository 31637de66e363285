"""VMC packets, read back by python-osc."""

import numpy as np
import pytest
from poses import LEFT_ARM_UP, SQUAT, posed, turned_left

pytest.importorskip("pythonosc")
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_packet import OscPacket
from scipy.spatial.transform import Rotation

from hmr_ros.exchange.resample import Sample
from hmr_ros.exchange.vmc import VmcBones

# Unity's HumanBodyBones that are sent, each with its parent
PARENTS = {
    "Hips": None, "Spine": "Hips", "Chest": "Spine", "UpperChest": "Chest", "Neck": "UpperChest", "Head": "Neck",
    "LeftShoulder": "UpperChest", "LeftUpperArm": "LeftShoulder", "LeftLowerArm": "LeftUpperArm",
    "LeftHand": "LeftLowerArm", "RightShoulder": "UpperChest", "RightUpperArm": "RightShoulder",
    "RightLowerArm": "RightUpperArm", "RightHand": "RightLowerArm", "LeftUpperLeg": "Hips",
    "LeftLowerLeg": "LeftUpperLeg", "LeftFoot": "LeftLowerLeg", "LeftToes": "LeftFoot", "RightUpperLeg": "Hips",
    "RightLowerLeg": "RightUpperLeg", "RightFoot": "RightLowerLeg", "RightToes": "RightFoot",
}  # fmt: skip
SMPL_OF = {
    "Hips": 0, "LeftUpperLeg": 1, "RightUpperLeg": 2, "Spine": 3, "LeftLowerLeg": 4, "RightLowerLeg": 5, "Chest": 6,
    "LeftFoot": 7, "RightFoot": 8, "UpperChest": 9, "LeftToes": 10, "RightToes": 11, "Neck": 12, "LeftShoulder": 13,
    "RightShoulder": 14, "Head": 15, "LeftUpperArm": 16, "RightUpperArm": 17, "LeftLowerArm": 18, "RightLowerArm": 19,
    "LeftHand": 20, "RightHand": 21,
}  # fmt: skip


class Reader:
    """What a receiver knows after the packets of one moment."""

    def __init__(self, packets):
        self.bones, self.root, self.state, self.time, self.unknown = {}, None, None, None, []
        dispatcher = Dispatcher()
        dispatcher.map("/VMC/Ext/Bone/Pos", lambda _, name, *numbers: self.bones.update({name: numbers}))
        dispatcher.map("/VMC/Ext/Root/Pos", lambda _, name, *numbers: setattr(self, "root", (name, numbers)))
        dispatcher.map("/VMC/Ext/OK", lambda _, *state: setattr(self, "state", state))
        dispatcher.map("/VMC/Ext/T", lambda _, seconds: setattr(self, "time", seconds))
        dispatcher.set_default_handler(lambda address, *_: self.unknown.append(address))
        for packet in packets:
            assert len(packet) <= 1472  # one packet of Ethernet
            for timed in OscPacket(packet).messages:
                for handler in dispatcher.handlers_for_address(timed.message.address):
                    handler.invoke(("127.0.0.1", 0), timed.message)
        assert not self.unknown

    def joints(self, through_root=False):
        """Places of the bones in Unity's axes by its own law: p = p_parent + q_parent p_local, q = q_parent q_local."""
        _, numbers = self.root
        start = (np.array(numbers[:3]), Rotation.from_quat(numbers[3:])) if through_root else (np.zeros(3), None)
        placed = {}
        for bone, parent in PARENTS.items():
            local, turn = np.array(self.bones[bone][:3]), Rotation.from_quat(self.bones[bone][3:])
            place, axes = placed[parent] if parent else start
            placed[bone] = (place + axes.apply(local), axes * turn) if axes else (local, turn)
        return {bone: place for bone, (place, _) in placed.items()}


@pytest.fixture
def shown(open_body, pose_made):
    def make(pose, **given):
        return Reader(VmcBones(open_body)(Sample(pose_made(pose, **given), 0.0, True)))

    return make


@pytest.mark.parametrize(
    "pose", [posed(), SQUAT, LEFT_ARM_UP, *(np.random.default_rng(s).normal(0, 0.6, 72) for s in range(3))]
)
@pytest.mark.parametrize("betas", [0.0, -1.5])
def test_unitys_law_gives_the_bodys_joints_in_unitys_axes(shown, open_body, pose, betas):
    got = shown(pose, betas=betas).joints()
    shape = np.full(10, betas) * (np.arange(10) < 3)
    joints = open_body.joints(pose[:3], pose[3:], shape, np.zeros(3))  # y up, x the camera's way forward, right-handed
    unity = np.stack([joints[:, 2], joints[:, 1], joints[:, 0]], -1)  # right, up, forward: left-handed
    for bone, place in got.items():
        np.testing.assert_allclose(place - got["Hips"], (unity - unity[0])[SMPL_OF[bone]], atol=1e-5, err_msg=bone)


def test_all_bones_by_unitys_names_once(shown):
    reader = shown(posed())
    assert set(reader.bones) == set(PARENTS)
    assert reader.root[0] == "root" and reader.state == (1, 3, 0, 1) and reader.time >= 0
    for numbers in reader.bones.values():
        assert np.linalg.norm(numbers[3:]) == pytest.approx(1, abs=1e-6)


def test_a_t_pose_is_every_bones_rest(shown):
    """Avatars stand in a T-pose whose bones have no rotation of their own."""
    for bone, numbers in shown(posed()).bones.items():
        np.testing.assert_allclose(np.abs(numbers[6]), 1, atol=1e-6, err_msg=bone)


def test_the_left_arm_goes_up_on_the_left(shown):
    joints = shown(LEFT_ARM_UP).joints()
    assert joints["LeftHand"][1] > joints["Head"][1] and joints["LeftHand"][0] < joints["Hips"][0]
    assert joints["RightHand"][0] > joints["Hips"][0] + 0.5
    assert joints["LeftToes"][2] > joints["LeftFoot"][2]


def test_who_faces_the_camera_faces_the_viewer(shown):
    joints = shown(turned_left(np.pi)).joints(through_root=True)
    assert joints["LeftToes"][2] > joints["LeftFoot"][2] and joints["LeftHand"][0] < joints["RightHand"][0]


@pytest.mark.parametrize("pose", [posed(), SQUAT])
def test_the_lower_foot_is_on_the_floor_below_where_the_person_was_first_seen(shown, open_body, pose):
    joints = shown(pose, pelvis=(4.0, -0.3, 1.0)).joints()
    sole = open_body.rest_joints(np.zeros(10))[:, 1] - open_body.v_template[:, 1].min()
    feet = [joints[b][1] - sole[SMPL_OF[b]] for b in ("LeftFoot", "RightFoot", "LeftToes", "RightToes")]
    assert min(feet) == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose([joints["Hips"][0], joints["Hips"][2]], 0, atol=1e-6)


def test_who_walks_moves(open_body, pose_made):
    bones = VmcBones(open_body)
    Reader(bones(Sample(pose_made(posed(), pelvis=(4.0, 0.9, 0.0)), 0.0, True)))
    hips = Reader(bones(Sample(pose_made(posed(), pelvis=(5.0, 0.9, 0.5)), 0.0, True))).joints()["Hips"]
    assert (hips[0], hips[2]) == pytest.approx((0.5, 1.0))  # to the camera's right, and away from it


def test_a_pose_that_is_held_says_so(open_body, pose_made):
    assert Reader(VmcBones(open_body)(Sample(pose_made(posed()), 0.0, False))).state == (1, 3, 0, 0)
