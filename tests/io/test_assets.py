"""Model files: checked before they are used, fetched again when damaged."""

import zipfile

import pytest

from hmr_ros.errors import AssetError
from hmr_ros.io.assets import asset_status, blazepose_models, unpack_models


def test_models_are_there_and_right():
    models = blazepose_models()
    assert models.detector.stat().st_size > 1e6
    assert all(ok for _, _, _, ok in asset_status())


def test_a_wheel_with_other_content_is_refused(tmp_path):
    wheel = tmp_path / "w.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mediapipe/modules/pose_detection/pose_detection.tflite", b"other")
    with pytest.raises(AssetError, match="is not the expected file"):
        unpack_models(wheel, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_failing_download_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(AssetError, match="pip download --no-deps mediapipe"):
        blazepose_models(tmp_path / "cache")


def test_damage_is_noticed(tmp_path):
    (tmp_path / "pose_detection.tflite").write_bytes(b"broken")
    name, _, present, ok = asset_status(tmp_path)[0]
    assert name == "pose_detection.tflite" and present and not ok
