"""People who walk and who stand before a tilted camera."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hmr_ros.synth.motion import demo_motion

sys.path.insert(0, str(Path(__file__).parent))  # for tilted_camera

from tilted_camera import humans_of


@pytest.fixture(scope="session")
def walking(open_body):
    """Two seconds of somebody who walks in a circle."""
    motion = demo_motion(30.0)
    return humans_of(replace(motion, poses=motion.poses[:60], trans=motion.trans[:60]), open_body)


@pytest.fixture(scope="session")
def standing(open_body):
    """Two seconds of somebody who stands and waves."""
    motion = demo_motion(30.0)
    return humans_of(replace(motion, poses=motion.poses[125:175], trans=motion.trans[125:175]), open_body)
