"""A motion file whose first frames are bad."""

import numpy as np
import pytest

from hmr_ros.synth.motion import demo_motion


@pytest.fixture(scope="session")
def motion_file(tmp_path_factory):
    motion = demo_motion()
    path = tmp_path_factory.mktemp("motion") / "m.npz"
    bad = np.zeros(len(motion.poses), bool)
    bad[:10] = True
    poses = motion.poses.copy()
    poses[:10] = 9.0
    np.savez(path, poses=poses, trans=motion.trans, bad_frame=bad)
    return path
