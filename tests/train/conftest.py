"""Small training sets that several tests share, made once through the command line."""

import pytest

from hmr_ros.body.coarse import coarse_of
from hmr_ros.cli import main
from hmr_ros.io.model_store import asset
from hmr_ros.methods.posturehmr.mesh2d import load_mesh2d
from hmr_ros.synth.poses import load_recorded
from hmr_ros.train.data.batches import PairBank
from hmr_ros.train.data.pairs import load_pairs

STILLS, FRAMES, MOVING, CROPS = 24, 8, 4, 10


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """Every training here is small."""


def _made(kind, motion_file, tmp_path_factory, *options):
    out = tmp_path_factory.mktemp("set") / "set"
    argv = ["train", kind, "--motion", str(motion_file), "--out", str(out), "--workers", "1", "--plain"]
    argv += ["--look", "painted"]  # few, small images from which a training should learn soon
    assert main([*argv, *map(str, options)]) == 0
    return out


@pytest.fixture(scope="session")
def stills(motion_file, tmp_path_factory):
    """Folder of single rendered people."""
    return _made("pairs", motion_file, tmp_path_factory, "--count", STILLS)


@pytest.fixture(scope="session")
def moving(motion_file, tmp_path_factory):
    """Folder of rendered pieces of motion."""
    return _made("pairs", motion_file, tmp_path_factory, "--count", MOVING * FRAMES, "--frames", FRAMES)


@pytest.fixture(scope="session")
def crops(motion_file, tmp_path_factory):
    """Folder of crops."""
    return _made("crops", motion_file, tmp_path_factory, "--count", CROPS, "--side", 96)


@pytest.fixture(scope="session")
def features(motion_file, tmp_path_factory):
    """Folder of features."""
    return _made("features", motion_file, tmp_path_factory, "--count", CROPS)


@pytest.fixture(scope="session")
def landmarks():
    """Which mixture of body points each landmark is, by the shipped 2D mesh network."""
    return load_mesh2d(asset("mesh2d.safetensors")).landmarks.double().numpy()


@pytest.fixture
def bank(stills, open_body, landmarks):
    """The stills in memory; a test may change it."""
    return PairBank(load_pairs(stills), open_body, coarse_of(open_body), landmarks)


@pytest.fixture(scope="session")
def recorded(motion_file):
    return load_recorded(motion_file)


@pytest.fixture
def curve():
    """Reads the rows of a curve.csv as dictionaries of numbers."""

    def read(out):
        header, *rows = (line.split(",") for line in (out / "curve.csv").read_text().splitlines())
        return [dict(zip(header, map(float, row), strict=True)) for row in rows]

    return read


@pytest.fixture
def broken_off():
    """Makes a bank's `batch` stop the training at its n-th call."""

    def change(monkeypatch, bank, calls):
        batch, done = bank.batch, 0

        def limited(*args, **options):
            nonlocal done
            done += 1
            if done > calls:
                raise KeyboardInterrupt
            return batch(*args, **options)

        monkeypatch.setattr(bank, "batch", limited)

    return change
