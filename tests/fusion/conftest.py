"""Two cameras and the people before them."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.axes import moved
from hmr_ros.fusion.sighting import Sighting
from hmr_ros.geometry.rigid import Rigid


@pytest.fixture(scope="session")
def poses(cameras):
    """Camera -> world."""
    return [Rigid(c.R_camera_world, c.t_camera_world).inverse for c in cameras]


@pytest.fixture(scope="session")
def sighting(cameras, poses, seen_by):
    """Of camera 0 or 1; `wrong` [24,3] m is the error of its joints, the landmarks' rays stay."""

    def make(camera, *place, wrong=None, **options):
        human = seen_by(cameras[camera], *place, **options)
        if wrong is not None:
            human = replace(human, joints=human.joints + wrong)
        return Sighting(str(camera), human, poses[camera])

    return make


@pytest.fixture(scope="session")
def truth(cameras, poses, seen_by):
    """Joints [24,3] m in the world."""

    def make(*place, **options):
        return np.asarray(moved(seen_by(cameras[0], *place, **options), poses[0]).joints)

    return make
