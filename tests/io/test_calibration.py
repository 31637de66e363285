"""Calibrations: every usual form is understood, everything else ends in one line."""

import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.geometry.camera import distort_points, undistort_points
from hmr_ros.io.calibration import read_camera

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
        (MATRIX + "D: [1, 2, 3]", "D must be 4 or 5"),
        (MATRIX + "D: text", "D must be 4 or 5"),
        (MATRIX + "D: [.nan, 0, 0, 0]", "D must be 4 or 5"),
        (MATRIX + "distortion_model: fisheye\nD: [0, 0, 0, 0, 0]", "D must be 4 numbers"),
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
