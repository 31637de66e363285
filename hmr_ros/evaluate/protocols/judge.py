"""Which points of answer and truth are compared, and what of them is the root: the published choices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.body.model import BodyModel
from hmr_ros.errors import InputError
from hmr_ros.evaluate.protocols.sequence import Subject
from hmr_ros.evaluate.protocols.smpl_files import REGRESSOR, SmplFiles, read_regressor
from hmr_ros.io.results import HumansTable
from hmr_ros.types import Floats

_LIMBS_OF_LSP = [3, 2, 4, 1, 5, 0, 9, 8, 10, 7, 11, 6]  # in the order of SMPL_LIMBS
Points = tuple[Floats, Floats | None]  # compared [J,3] m, and the surface [V,3] m where both have one


@dataclass(frozen=True)
class Judge:
    """Points of both sides; the errors are those of the first `scored` after the means of `root` coincide."""

    points: str  # in words, for the report
    scored: int
    root: tuple[int, ...]
    regressor: Floats | None = None  # [15,V] LSP's joints and the pelvis, of the mesh
    answer_body: BodyModel | None = None  # that of the answers, where meshes are compared

    def truth(self, subject: Subject, row: int) -> Points | None:
        """Of one person in one frame; None where the data set says nothing without a mesh."""
        surface = subject.posed.vertices(row) if subject.posed is not None else None
        if subject.markers is not None:
            marks = subject.markers[row]
            return (marks if self.regressor is not None else marks[_LIMBS_OF_LSP]), None
        if self.regressor is not None and surface is not None:
            return self.regressor @ surface, surface
        return None if subject.joints is None else (subject.joints[row], surface)

    def answer(self, table: HumansTable, row: int) -> Points:
        """Of one row of humans.npz; InputError where joints need a mesh that it does not have."""
        surface = None
        if self.answer_body is not None and table.body_model == self.answer_body.name:
            parameters = (a[row] for a in (table.global_orient, table.body_pose, table.betas, table.transl))
            surface = self.answer_body.vertices(*parameters)
        if self.regressor is not None:
            if surface is None:
                needed = "" if self.answer_body is None else self.answer_body.name
                raise InputError(
                    f"results are of the body '{table.body_model}', the joints of this protocol need the mesh of"
                    f" '{needed}'; make them with `hmr run --body` and that file, or leave --results out"
                )
            return self.regressor @ surface, surface
        joints = table.joints[row]
        return (joints[SMPL_LIMBS] if self.scored == len(SMPL_LIMBS) else joints), surface


def judge_of(protocol: str, smpl: SmplFiles | None, regressor: Path | None, folder: Path | None) -> Judge:
    """The published choice of `protocol`, or what is left of it without SMPL's files (`folder` is theirs); InputError.

    3DPW: 14 joints regressed from both meshes, root between the hips (as VIBE, TCMR, WHAM). EMDB: SMPL's 24 joints,
    root between the hips (its own evaluation). Human3.6M: the 14 joints against the markers, root the pelvis (SPIN).
    """
    if protocol.startswith("emdb"):
        return Judge("SMPL's 24 joints", 24, (1, 2), answer_body=smpl.body("neutral") if smpl else None)
    if smpl is None or folder is None:
        if protocol == "3dpw":
            return Judge("SMPL's 24 joints (no mesh: no --smpl)", 24, (1, 2))
        return Judge("12 limb joints (no mesh: no --smpl)", len(SMPL_LIMBS), (0, 1))
    neutral = smpl.body("neutral")
    weights = read_regressor(regressor or folder / REGRESSOR, len(neutral.v_template))
    return Judge("14 joints of LSP", 14, (2, 3) if protocol == "3dpw" else (14,), weights, neutral)


def rooted(judge: Judge, points: Points) -> Points:
    """Scored points and surface relative to the root."""
    root = points[0][list(judge.root)].mean(0)
    return points[0][: judge.scored] - root, None if points[1] is None else np.asarray(points[1] - root)
