"""Where a tracked person will be: constant-velocity Kalman filter of the crop's centre and size."""

from __future__ import annotations

import numpy as np
from filterpy.kalman import KalmanFilter

from hmr_ros.types import Floats, Roi

_ACCELERATION = 3.0  # body sizes per s^2: a start or a turn
_SIZE_ACCELERATION = 1.0  # of log size, per s^2
_MEASURED = 0.02  # standard deviation of a measurement, in body sizes


class RoiMotion:
    """Filter of one person; lengths scale with the person's own size."""

    def __init__(self, roi: Roi) -> None:
        self._filter = KalmanFilter(dim_x=6, dim_z=3)
        self._filter.x = np.concatenate([_measurement(roi), np.zeros(3)])[:, None]
        self._filter.H = np.eye(3, 6)
        self._filter.P = np.diag([1.0, 1.0, 0.01, 1.0, 1.0, 0.1]) * np.array([*[roi.size_px**2] * 2, 1.0] * 2)
        self._angle = roi.angle_rad

    def predict(self, dt_s: float) -> None:
        """Move the state on by `dt_s` seconds."""
        f, size = self._filter, self.roi.size_px
        f.F = np.eye(6)
        f.F[:3, 3:] = dt_s * np.eye(3)
        accelerations = np.array([_ACCELERATION * size, _ACCELERATION * size, _SIZE_ACCELERATION]) ** 2
        moments = ((dt_s**4 / 4, dt_s**3 / 2), (dt_s**3 / 2, dt_s**2))
        f.Q = np.kron(np.array(moments), np.diag(accelerations))
        f.predict()

    def update(self, roi: Roi, doubt: float = 1.0) -> None:
        """Take in where the person was seen; `doubt` widens the measurement's standard deviation."""
        noise = (doubt * np.array([_MEASURED * roi.size_px, _MEASURED * roi.size_px, _MEASURED])) ** 2
        self._filter.update(_measurement(roi)[:, None], R=np.diag(noise))
        self._angle = roi.angle_rad

    @property
    def roi(self) -> Roi:
        """The square at the present state."""
        x = self._filter.x[:, 0]
        return Roi(x[:2].copy(), float(np.exp(np.clip(x[2], 0.0, 12.0))), self._angle)


def _measurement(roi: Roi) -> Floats:
    return np.array([roi.center_px[0], roi.center_px[1], np.log(max(roi.size_px, 1.0))])
