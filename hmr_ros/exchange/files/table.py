"""Joints as a table of plain numbers (.csv)."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from hmr_ros.body.joints import SMPL_JOINTS
from hmr_ros.exchange.files.tracks import Track
from hmr_ros.io.results import save_text


def write_csv(track: Track, path: Path) -> None:
    """One row a frame: time [s], 1 where the person was seen (0: interpolated), x, y, z [m] of 24 joints."""
    names = ["time_s", "measured", *(f"{joint}_{axis}" for joint in SMPL_JOINTS for axis in "xyz")]
    columns = [track.times[:, None], track.measured[:, None], track.joints.reshape(len(track.times), -1)]
    text = io.StringIO()
    np.savetxt(text, np.hstack(columns), ["%.6f", "%d", *["%.5f"] * 72], ",", header=",".join(names), comments="")
    save_text(path, text.getvalue())
