"""Looking models up: whole copies are found, everything else ends in one line, nothing is fetched."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from hmr_ros.config import HmrConfig, with_values
from hmr_ros.errors import AssetError
from hmr_ros.factory import offline
from hmr_ros.io.model_store import (
    DETECTOR,
    FULL,
    HEAVY,
    MODELS,
    blazepose_models,
    find_model,
    landmark_models,
    model_file,
    share_file,
)


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A machine without models: its cache folder."""
    monkeypatch.setenv("HMR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def test_models_are_there_and_whole():
    models = blazepose_models()
    assert models.detector.stat().st_size > 1e6
    assert models == type(models)(model_file(DETECTOR), model_file(FULL))
    assert landmark_models("auto") == landmark_models("full") == (models.landmarks,)


def test_the_ensemble_names_full_first():
    if find_model(HEAVY) is None:
        pytest.skip(f"{HEAVY.name} is not installed")
    heavy = model_file(HEAVY)
    assert landmark_models("both") == (blazepose_models().landmarks, heavy)
    assert landmark_models("heavy") == (heavy,)


def test_a_prefix_holds_models_too(empty, tmp_path, monkeypatch):
    source = model_file_of_this_machine(DETECTOR)
    (tmp_path / "share/hmr_ros/models").mkdir(parents=True)
    (tmp_path / "share/hmr_ros/models" / DETECTOR.name).write_bytes(source)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path}")
    assert model_file(DETECTOR) == tmp_path / "share/hmr_ros/models" / DETECTOR.name
    (empty / DETECTOR.name).write_bytes(b"damaged")  # the whole copy is taken
    assert model_file(DETECTOR).parent != empty


def model_file_of_this_machine(model):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HMR_CACHE")
        return model_file(model).read_bytes()


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_missing_and_damaged_models_name_the_command(empty, model):
    with pytest.raises(AssetError, match=f"{model.name} is not installed; run `hmr models fetch`"):
        model_file(model)
    (empty / model.name).write_bytes(b"damaged")
    with pytest.raises(AssetError, match=f"{model.name} at .* is damaged; run `hmr models fetch`"):
        model_file(model)


def test_files_take_both_networks_only_where_heavy_is_installed(empty, monkeypatch, caplog):
    without = offline(HmrConfig()).tracker
    assert without.landmark_network == "full" and without.flip_test
    assert "hmr models fetch" in caplog.text
    wanted = with_values(HmrConfig(), {"tracker.landmark_network": "heavy"})
    assert offline(wanted).tracker.landmark_network == "heavy"  # who asks for it is told that it is missing
    monkeypatch.delenv("HMR_CACHE")
    if find_model(HEAVY) is not None:
        there = offline(HmrConfig()).tracker
        assert there.landmark_network == "both" and not there.flip_test


_OFFLINE = """
import socket, subprocess, sys
def refuse(*_, **__): raise SystemExit("somebody went to the network")
socket.socket.connect = socket.getaddrinfo = subprocess.Popen.__init__ = refuse
from hmr_ros.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_run_without_models_ends_in_one_line_and_asks_no_network(empty, tmp_path):
    cv2.imwrite(str(tmp_path / "p.png"), np.zeros((48, 64, 3), np.uint8))
    command = [sys.executable, "-c", _OFFLINE, "run", str(tmp_path / "p.png"), "--out", str(tmp_path / "o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 1
    (error,) = (line for line in done.stderr.splitlines() if line.startswith("hmr: "))
    assert error.endswith("pose_detection.tflite is not installed; run `hmr models fetch`")
    assert not list(empty.iterdir())


def test_a_missing_shared_file_is_explained():
    with pytest.raises(AssetError, match="no-such-file is not installed"):
        share_file("no-such-file")
