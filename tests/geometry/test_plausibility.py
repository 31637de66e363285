"""Intrinsics that no camera has are refused; those of real lenses, however wide, are not."""

import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.geometry.camera import distort_points, fit_camera, undistort_points
from hmr_ros.geometry.plausibility import check_camera
from hmr_ros.types import Camera


def camera(f=500.0, D=None, fisheye=False, width=640, height=480, cx=None, fy=None):
    K = np.array([[f, 0, width / 2 if cx is None else cx], [0, fy or f, height / 2], [0, 0, 1]])
    return Camera(K, width, height, None if D is None else np.array(D), fisheye)


REAL = {
    "without distortion": camera(),
    "webcam": camera(D=[-0.3, 0.1, 0, 0, 0]),
    "webcam of one term, bent in its corners": camera(D=[-0.3, 0, 0, 0]),
    "tele lens": camera(6000.0),
    "wide lens": camera(280.0, D=[-0.25, 0.07, 0, 0, -0.008]),
    "Azure Kinect": camera(612.0, [0.52, -2.7, 0.0007, -0.0001, 1.6, 0.39, -2.52, 1.52], width=1280, height=720),
    "fisheye": camera(285.0, [-0.007, 0.04, -0.04, 0.006], fisheye=True, width=848, height=800),
    "fisheye of 190 degrees": camera(200.0, [0.0, 0.0, 0.0, 0.0001], fisheye=True),
    "every second line": camera(fy=250.0),
    "shifted": camera(cx=900.0),
    "phone upright": camera(500.0, width=480, height=640),
}


@pytest.mark.parametrize("name", REAL)
def test_real_cameras_pass(name):
    assert check_camera(REAL[name]) is REAL[name]


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (camera(5.0), "focal length"),
        (camera(1e6), "focal length"),
        (camera(fy=100.0), "differ too much"),
        (camera(cx=5000.0), "principal point"),
        (camera(cx=-700.0), "principal point"),
        (camera(D=[-5.0, 0, 0, 0]), "folds"),
        (camera(D=[0.0, 0, 0.5, 0.5]), "folds"),
        (camera(D=[0.0, 0, 0, 0, 0, 1e4, 0, 0]), "folds"),
        (camera(D=[-2.0, 0, 0, 0], fisheye=True), "folds"),
        (camera(D=[1e300, 0, 0, 0]), "moves the edge"),
        (camera(D=[np.nan, 0, 0, 0]), "not finite"),
    ],
)
def test_absurd_cameras_are_refused_at_every_size(wrong, said, scale):
    """The verdict is about angles: an image of another size changes nothing."""
    K = np.array(wrong.K)
    K[:2] *= scale
    scaled = Camera(K, round(scale * wrong.width), round(scale * wrong.height), wrong.distortion, wrong.fisheye)
    for check in (check_camera, lambda c: fit_camera(c, c.width, c.height)):
        with pytest.raises(InputError, match=said) as caught:
            check(scaled)
        assert "\n" not in str(caught.value) and "calibrate the camera" in str(caught.value)


def test_skewed_and_transposed_matrices_are_refused():
    for K in (camera().K.T, camera().K + np.array([[0, 200, 0], [0, 0, 0], [0, 0, 0]])):
        with pytest.raises(InputError, match="is not"):
            check_camera(Camera(K, 640, 480))


@pytest.mark.parametrize("k1", np.linspace(-2.0, 1.0, 13))
def test_what_passes_can_be_undone(k1):
    """Where distortion is accepted, it has an inverse up to three quarters of the way to the edge."""
    lens = camera(D=[k1, 0, 0, 0])
    radius = 0.5 * 640 / 500  # at z = 1
    folds = k1 < 0 and 2 / 3 * np.sqrt(-1 / (3 * k1)) < 0.75 * radius  # r (1 + k1 r^2) turns back there
    try:
        check_camera(lens)
    except InputError:
        assert folds or k1 > 0.5
        return
    assert not folds
    ideal = np.array([[320 + 500 * r, 240.0] for r in np.linspace(0, 0.5 * radius, 5)])
    np.testing.assert_allclose(undistort_points(distort_points(ideal, lens), lens), ideal, atol=0.5)
