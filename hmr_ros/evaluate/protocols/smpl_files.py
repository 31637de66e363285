"""SMPL's files and the regressor of Human3.6M's joints, which users have from their owners."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hmr_ros.body.loading import load_body
from hmr_ros.body.model import BodyModel
from hmr_ros.errors import InputError
from hmr_ros.types import Floats

REGRESSOR = "J_regressor_h36m.npy"
# the 14 joints of LSP among Human3.6M's 17 (right ankle, knee, hip, left hip, knee, ankle, right wrist, elbow,
# shoulder, left shoulder, elbow, wrist, neck, top of the head), then the pelvis
_LSP = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10, 0)
_LETTER = {"male": "m", "female": "f", "neutral": "neutral"}


class SmplFiles:
    """SMPL_MALE, SMPL_FEMALE and SMPL_NEUTRAL (.pkl or .npz) of a folder, or the names they are published under."""

    def __init__(self, folder: Path) -> None:
        """InputError where it is no folder."""
        if not folder.is_dir():
            raise InputError(f"--smpl {folder} is not a folder; give the one with SMPL_MALE.pkl, SMPL_FEMALE.pkl, ...")
        self._folder = folder
        self._bodies: dict[str, BodyModel] = {}

    def body(self, gender: str) -> BodyModel:
        """The body of people who are male, female or neutral; InputError, BodyModelError."""
        if gender not in self._bodies:
            self._bodies[gender] = load_body(self.path(gender))
        return self._bodies[gender]

    def path(self, gender: str) -> Path:
        """Where that body's file is; InputError."""
        if gender not in _LETTER:
            raise InputError(f"'{gender}' people have no SMPL file; there are {', '.join(_LETTER)}")
        starts = (f"smpl_{gender}.", f"basicmodel_{_LETTER[gender]}_lbs_10_207_0")
        for path in sorted(self._folder.iterdir()):
            if path.name.lower().startswith(starts) and path.suffix.lower() in (".pkl", ".npz"):
                return path
        raise InputError(
            f"{self._folder} has no SMPL_{gender.upper()}.pkl; download it from smpl.is.tue.mpg.de (neutral:"
            " smplify.is.tue.mpg.de)"
        )


def read_regressor(path: Path, vertices: int) -> Floats:
    """Weights [15,V] of the 14 joints of LSP and the pelvis, of Human3.6M's [17,V]; InputError."""
    if not path.is_file():
        raise InputError(
            f"{path} does not exist; the joints of this protocol need {REGRESSOR} (among SPIN's and VIBE's data):"
            " put it beside SMPL's files or name it by --regressor"
        )
    try:
        weights = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"cannot read {path}: not a complete .npy of numbers") from error
    if not isinstance(weights, np.ndarray) or weights.shape != (17, vertices) or weights.dtype.kind != "f":
        raise InputError(f"{path}: expected numbers [17, {vertices}], one column a vertex of SMPL's mesh")
    return weights[list(_LSP)].astype(np.float64)
