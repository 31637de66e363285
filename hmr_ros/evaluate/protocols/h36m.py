"""Human3.6M (Ionescu et al., PAMI 2014) as SPIN prepares it: h36m_valid_protocol1.npz or 2 beside its images.

Its rows are every fifth frame of subjects S9 and S11 (`imgname`), with the 14 joints of LSP and the pelvis measured by
markers (`S` [N,24,4] m, camera axes, pelvis at the origin) and a square box (`center`, `scale`). Protocol 2 is the
frontal camera alone, protocol 1 all four. A file with more cameras serves both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.evaluate.protocols.sequence import Sequence, Subject, existing, numbers
from hmr_ros.io.results import load_arrays
from hmr_ros.types import Camera, Floats, Ints

_NAME = re.compile(r"(?P<sequence>S\d+_.+\.(?P<camera>\d+))_(?P<frame>\d+)\.jpg")
_FPS = 10.0  # every fifth frame of 50 a second
_FRONTAL = "60457274"
_PELVIS = 14  # of the 24 joints; those before it are LSP's
# focal length and principal point, px, and k1 k2 p1 p2 k3 of the four cameras, as Human3.6M gives them
_CAMERAS = {
    "54138969": ((1145.05, 1143.78, 512.54, 515.45), (-0.2071, 0.2478, -0.00097, -0.00142, -0.00308)),
    "55011271": ((1149.68, 1147.59, 508.85, 508.06), (-0.1942, 0.2404, -0.00162, -0.00274, 0.00682)),
    "58860488": ((1149.14, 1148.80, 519.82, 501.40), (-0.2083, 0.2555, 0.00148, -0.00076, -0.00246)),
    "60457274": ((1145.51, 1144.77, 514.97, 501.88), (-0.1984, 0.2183, -0.00059, -0.00181, -0.00895)),
}


@dataclass(frozen=True)
class Rows:
    """The rows of one sequence of one camera, in the order of time."""

    name: str
    camera: str
    images: list[Path]
    markers: Floats  # [F,15,3] m
    boxes: Floats  # [F,4] px


def find(folder: Path, number: int) -> list[Rows]:
    """The sequences of protocol 1 or 2; InputError."""
    path = existing(folder, "give the folder of Human3.6M") / f"h36m_valid_protocol{number}.npz"
    if number == 2 and not path.is_file() and (folder / "h36m_valid_protocol1.npz").is_file():
        path = folder / "h36m_valid_protocol1.npz"
    arrays = load_arrays(path)
    missing = [k for k in ("imgname", "S", "center", "scale") if k not in arrays]
    if missing:
        raise InputError(f"{path} has no {', '.join(missing)}; make it with SPIN's datasets/preprocess/h36m.py")
    names = [str(n) for n in arrays["imgname"]]
    joints = numbers(path, arrays, "S", (len(names), 24, 4))[:, : _PELVIS + 1]
    boxes = _boxes(numbers(path, arrays, "center", (len(names), 2)), numbers(path, arrays, "scale", (len(names),)))
    if not (joints[..., 3] > 0).all():
        raise InputError(f"{path}: not all of the 14 joints and the pelvis are marked as known in S")
    groups: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row, name in enumerate(names):
        parts = _NAME.fullmatch(Path(name).name)
        if parts is None or parts["camera"] not in _CAMERAS:
            raise InputError(f"{path}: '{name}' is not an image like S9_Directions_1.60457274_000001.jpg")
        if number == 1 or parts["camera"] == _FRONTAL:
            groups.setdefault((parts["sequence"], parts["camera"]), []).append((int(parts["frame"]), row))
    if not groups:
        raise InputError(f"{path} has no image of camera {_FRONTAL}")
    return [
        Rows(name, camera, [folder / names[r] for r in rows], joints[rows, :, :3], boxes[rows])
        for (name, camera), order in sorted(groups.items())
        for rows in [_in_time(order)]
    ]


def load(rows: Rows) -> Sequence:
    """One of them."""
    (fx, fy, cx, cy), distortion = _CAMERAS[rows.camera]
    camera = Camera(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), 0, 0, np.array(distortion))
    subject = Subject(np.arange(len(rows.images)), rows.boxes, markers=rows.markers)
    return Sequence(rows.name, rows.images, _FPS, camera, False, [subject])


def _in_time(order: list[tuple[int, int]]) -> Ints:
    return np.array([row for _, row in sorted(order)])


def _boxes(center: Floats, scale: Floats) -> Floats:
    """Squares [N,4]; SPIN's scale is 0.9 times the longer side over 200 px."""
    half = (100 / 0.9 * scale)[:, None]
    return np.concatenate([center - half, center + half], 1)
