"""Calibrations: every usual form is understood, everything else ends in one line."""

from types import SimpleNamespace

import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.geometry.camera import distort_points, undistort_points
from hmr_ros.io.calibration import camera_of_info, extrinsics_of, info_topic, is_rectified, read_camera

MATRIX = "camera_matrix: {rows: 3, cols: 3, data: [500, 0, 320, 0, 510, 240, 0, 0, 1]}\n"
EXPECTED = np.array([[500, 0, 320], [0, 510, 240], [0, 0, 1]])


def read(tmp_path, text):
    file = tmp_path / "camera.yaml"
    file.write_text(text)
    return read_camera(str(file))


@pytest.mark.parametrize(
    "text",
    [
        MATRIX,
        "K: [500, 0, 320, 0, 510, 240, 0, 0, 1]",
        "k: [500, 0, 320, 0, 510, 240, 0, 0, 1]\nd: []\n",
        "K: [[500, 0, 320], [0, 510, 240], [0, 0, 1]]",
    ],
)
def test_all_spellings_give_one_camera(tmp_path, text):
    camera = read(tmp_path, text)
    np.testing.assert_array_equal(camera.K, EXPECTED)
    assert camera.distortion is None and (camera.width, camera.height) == (0, 0) and not camera.guessed
    np.testing.assert_array_equal(read_camera("500,510,320,240").K, EXPECTED)


@pytest.mark.parametrize("model", ['""', "plumb_bob", "rational_polynomial", "equidistant", "fisheye"])
def test_distortion_of_every_model_can_be_undone(tmp_path, model):
    numbers = [0.05, -0.02, 0.001, 0.001] + [0.0] * 4 * (model == "rational_polynomial")
    text = f"{MATRIX}image_width: 640\nimage_height: 480\ndistortion_model: {model}\nD: {numbers}\n"
    camera = read(tmp_path, text)
    assert camera.fisheye == (model in ("equidistant", "fisheye")) and (camera.width, camera.height) == (640, 480)
    px = np.array([[320.0, 240], [400, 300], [150, 90]])
    np.testing.assert_allclose(undistort_points(distort_points(px, camera), camera), px, atol=0.05)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image_width: 640", "no camera_matrix"),
        ("camera_matrix:", "no camera_matrix"),
        ("K: [[1, 2], [3]]", "no camera_matrix"),
        ("K: [0, 0, 320, 0, 510, 240, 0, 0, 1]", "not a camera matrix"),
        ("[1, 2]", "holds no calibration"),
        ("a: b: c", "not valid YAML"),
        (MATRIX + "image_width: abc", "image_width is 'abc'"),
        (MATRIX + "image_height: -5", "image_height is -5"),
        (MATRIX + "image_width: [1]", "expected a number of pixels"),
        (MATRIX + "distortion_model: bent", "distortion_model 'bent'"),
        (MATRIX + "D: text", "distortion is not a list of numbers"),
        (MATRIX + "D: {rows: 1}\ndistortion_model: bent", "distortion_model 'bent'"),
        (MATRIX + "D: [.nan, 0, 0, 0]", "not finite"),
        (MATRIX + f"D: {[0.1] * 15}", "has 15 coefficients, plumb_bob has at most 14"),
        (MATRIX + f"distortion_model: fisheye\nD: {[0.1] * 6}", "has 6 coefficients, fisheye has at most 4"),
    ],
)
def test_bad_files_are_explained(tmp_path, text, said):
    with pytest.raises(InputError, match=said) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "1,2,3", "a,b,c,d", "inf,1,1,1", "-5,5,1,1", "x" * 5000, "1," * 3000, "a\0b"])
def test_bad_arguments_are_explained(text):
    with pytest.raises(InputError):
        read_camera(text)


def test_a_calibration_file_cannot_run_anything(tmp_path):
    with pytest.raises(InputError, match="not valid YAML"):
        read(tmp_path, "K: !!python/object/apply:os.getcwd []")


def info(**fields):
    """A CameraInfo: 640x480, K and P different."""
    values = {
        "width": 640, "height": 480, "distortion_model": "plumb_bob", "d": np.array([-0.2, 0.1, 0, 0, 0]),
        "k": np.array([500.0, 0, 320, 0, 510, 240, 0, 0, 1]),
        "p": np.array([400.0, 0, 310, 0, 0, 410, 230, 0, 0, 0, 1, 0]), "binning_x": 0, "binning_y": 0,
        "roi": SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False),
    }  # fmt: skip
    return SimpleNamespace(**{**values, **fields})


def window(x, y, width, height):
    return SimpleNamespace(x_offset=x, y_offset=y, width=width, height=height, do_rectify=True)


def test_raw_images_have_K_and_distortion_rectified_ones_P_alone():
    raw, rectified = (camera_of_info(info(), flag, 640, 480) for flag in (False, True))
    np.testing.assert_array_equal(raw.K, [[500, 0, 320], [0, 510, 240], [0, 0, 1]])
    np.testing.assert_array_equal(raw.distortion, [-0.2, 0.1, 0, 0, 0])
    np.testing.assert_array_equal(rectified.K, [[400, 0, 310], [0, 410, 230], [0, 0, 1]])
    assert rectified.distortion is None


@pytest.mark.parametrize("rectified", [False, True])
def test_window_and_binning_move_the_intrinsics(rectified):
    sent = info(roi=window(100, 40, 400, 300), binning_x=2, binning_y=2)
    camera = camera_of_info(sent, rectified, 200, 150)
    full = camera_of_info(info(), rectified, 640, 480)
    np.testing.assert_allclose(camera.K[:2, 2], (full.K[:2, 2] - [100, 40]) / 2)
    np.testing.assert_allclose(np.diag(camera.K)[:2], np.diag(full.K)[:2] / 2)
    assert (camera.width, camera.height) == (200, 150)


def test_a_resized_image_scales_what_the_window_left():
    camera = camera_of_info(info(roi=window(100, 40, 400, 300)), False, 200, 150)
    np.testing.assert_allclose(camera.K[:2, 2], [(320 - 100) / 2, (240 - 40) / 2])


def test_ROS_1_writes_capitals():
    message = info()
    for name in ("k", "d", "p"):
        setattr(message, name.upper(), getattr(message, name))
        delattr(message, name)
    assert camera_of_info(message, False, 640, 480).K[0, 0] == 500
    assert camera_of_info(message, True, 640, 480).K[0, 0] == 400


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("value", [0.0, np.nan])
def test_an_uncalibrated_camera_is_refused(rectified, value):
    with pytest.raises(InputError, match="zero or invalid matrix; calibrate the camera"):
        camera_of_info(info(k=np.full(9, value), p=np.full(12, value)), rectified, 640, 480)


def test_a_rectified_image_without_P_keeps_K_and_has_no_distortion():
    camera = camera_of_info(info(p=np.zeros(12)), True, 640, 480)
    assert camera.K[0, 0] == 500 and camera.distortion is None


COEFFICIENTS = [
    ("plumb_bob", [-0.1, 0.1, 0.0], [-0.1, 0.1, 0, 0]),
    ("plumb_bob", [0.1, 0, 0, 0, 0, 0.2], [0.1, 0, 0, 0, 0, 0.2, 0, 0]),
    ("rational_polynomial", [0.1, 0, 0, 0, 0, 0.2, 0, 0], [0.1, 0, 0, 0, 0, 0.2, 0, 0]),
    ("rational_polynomial", [0.01] * 9, [0.01] * 9 + [0] * 3),
    ("rational_polynomial", [0.01] * 14, [0.01] * 14),
    ("equidistant", [-0.02, 0.01, 0, 0, 0.01], [-0.02, 0.01, 0, 0]),
    ("Kannala_Brandt4", [-0.02, 0.01, 0], [-0.02, 0.01, 0, 0]),
    ("plumb_bob", [0.0] * 5, None),
    ("omni", [0.0] * 5, None),  # nothing to be undone, whatever the name
    ("", [], None),
]


@pytest.mark.parametrize("source", ["message", "file"])
@pytest.mark.parametrize(("model", "given", "used"), COEFFICIENTS)
def test_distortion_of_any_length_can_be_undone(tmp_path, source, model, given, used):
    if source == "message":
        camera = camera_of_info(info(distortion_model=model, d=np.array(given)), False, 640, 480)
    else:
        camera = read(tmp_path, f'{MATRIX}distortion_model: "{model}"\ndistortion_coefficients: {{data: {given}}}\n')
    if used is None:
        assert camera.distortion is None
    else:
        np.testing.assert_array_equal(camera.distortion, used)
    px = np.array([[320.0, 240], [400, 300], [150, 90]])
    np.testing.assert_allclose(undistort_points(distort_points(px, camera), camera), px, atol=0.05)


def test_coefficients_that_a_driver_does_not_know_are_none():
    assert camera_of_info(info(d=np.full(5, np.nan)), False, 640, 480).distortion is None


def test_more_coefficients_than_any_model_has_are_refused():
    with pytest.raises(InputError, match="distortion has 15 coefficients, plumb_bob has at most 14"):
        camera_of_info(info(d=np.ones(15)), False, 640, 480)
    with pytest.raises(InputError, match="distortion_model 'omni' is not one of plumb_bob"):
        camera_of_info(info(distortion_model="omni"), False, 640, 480)


def matrix(fx=500.0, cx=320.0):
    return np.array([fx, 0, cx, 0, 510, 240, 0, 0, 1])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"k": matrix(fx=4.2)}, "focal length 4.2, 510 px cannot be that of an image of 640x480"),
        ({"k": matrix(fx=1e6)}, "focal length"),
        ({"k": matrix(cx=5000)}, r"principal point \(5000, 240\) px cannot"),
        ({"k": matrix().reshape(3, 3).T.reshape(9)}, r"is not \[\[fx, 0, cx\]"),
        ({"d": np.array([-5.0, 0, 0, 0, 0])}, "folds the image over"),
    ],
)
def test_what_no_camera_has_is_not_believed(fields, said):
    with pytest.raises(InputError, match=f"CameraInfo: .*{said}.*calibrate the camera"):
        camera_of_info(info(**fields), False, 640, 480)


def test_a_window_far_from_the_principal_point_is_no_fault():
    sent = info(width=4000, height=3000, roi=window(3700, 2800, 200, 150), k=matrix(3000.0, 2000.0), d=np.zeros(0))
    sent.k[4], sent.k[5] = 3000, 1500
    np.testing.assert_allclose(camera_of_info(sent, False, 200, 150).K[:2, 2], [2000 - 3700, 1500 - 2800])


def test_a_window_that_the_driver_names_and_does_not_cut_is_none():
    camera = camera_of_info(info(roi=window(100, 40, 320, 240), binning_x=2, binning_y=2), False, 640, 480)
    np.testing.assert_array_equal(camera.K[:2, 2], [320, 240])


def test_another_resolution_is_scaled_and_said_once(caplog):
    for _ in range(3):
        camera = camera_of_info(info(d=np.zeros(0)), False, 1280, 960)
        np.testing.assert_array_equal(camera.K[:2, 2], [640, 480])
    assert caplog.text.count("calibration for 640x480 is scaled to images of 1280x960") == 1
    with pytest.raises(InputError, match="calibration is for 640x480, the image is 640x360; give the calibration of"):
        camera_of_info(info(), False, 640, 360)


@pytest.mark.parametrize(
    ("topic", "rectified", "beside"),
    [
        ("/camera/image_rect", True, "/camera/camera_info"),
        ("/camera/image_rect_color/compressed", True, "/camera/camera_info"),
        ("/camera/infra1/image_rect_raw", True, "/camera/infra1/camera_info"),
        ("/camera/image_raw", False, "/camera/camera_info"),
        ("/image_rectifier/image_raw/compressed", False, "/image_rectifier/camera_info"),
        ("/image_raw", False, "/camera_info"),
        ("image_raw", False, "camera_info"),
    ],
)
def test_topics_say_what_they_hold_and_what_is_beside_them(topic, rectified, beside):
    assert is_rectified(topic, "auto") == rectified and info_topic(topic) == beside
    assert is_rectified(topic, "always") and not is_rectified(topic, "never")


def test_extrinsics_are_both_or_none():
    assert extrinsics_of({}, "view a") is None
    R, t = extrinsics_of({"R": [0, -1, 0, 1, 0, 0, 0, 0, 1], "t": [1, 2, 3]}, "view a")
    np.testing.assert_array_equal(R @ [1, 0, 0] + t, [1, 3, 3])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"R": np.eye(3).tolist()}, "view a has R alone"),
        ({"t": [0, 0, 0]}, "view a has t alone"),
        ({"R": np.eye(3).tolist(), "t": [0, 0]}, "view a: t is not 3 finite numbers"),
        ({"R": np.eye(3).tolist(), "t": [0, 0, float("nan")]}, "view a: t is not 3 finite numbers"),
        ({"R": np.diag([1, 1, -1]).tolist(), "t": [0, 0, 0]}, "view a: R is not a rotation"),
        ({"R": "east", "t": [0, 0, 0]}, "view a: R is not 9 finite numbers"),
    ],
)
def test_extrinsics_that_are_none_are_refused(given, said):
    with pytest.raises(InputError, match=said):
        extrinsics_of(given, "view a")
