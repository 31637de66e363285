"""SMPL's files are found by either of their names; what is missing is named."""

import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.evaluate.protocols.smpl_files import SmplFiles, read_regressor


def test_bodies_of_a_folder(smpl_folder, open_body):
    files = SmplFiles(smpl_folder)
    assert files.body("neutral").name == "smpl:SMPL_NEUTRAL"
    np.testing.assert_allclose(files.body("female").v_template, 1.1 * open_body.v_template)
    assert files.body("male") is files.body("male")


def test_what_is_missing(tmp_path, smpl_folder):
    with pytest.raises(InputError, match="not a folder"):
        SmplFiles(tmp_path / "no")
    with pytest.raises(InputError, match=r"has no SMPL_MALE\.pkl; download"):
        SmplFiles(tmp_path).body("male")
    with pytest.raises(InputError, match="'robot'"):
        SmplFiles(smpl_folder).body("robot")
    with pytest.raises(InputError, match="--regressor"):
        read_regressor(tmp_path / "J_regressor_h36m.npy", 6890)


def test_the_regressor_must_fit_the_mesh(smpl_folder, tmp_path):
    weights = read_regressor(smpl_folder / "J_regressor_h36m.npy", 6890)
    assert weights.shape == (15, 6890)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    with pytest.raises(InputError, match=r"\[17, 10475\]"):
        read_regressor(smpl_folder / "J_regressor_h36m.npy", 10475)
    (tmp_path / "bad.npy").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot read"):
        read_regressor(tmp_path / "bad.npy", 6890)
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(InputError, match="cannot read"):
        read_regressor(tmp_path / "objects.npy", 6890)
