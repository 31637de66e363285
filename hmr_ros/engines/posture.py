"""The posture networks on any engine."""

from __future__ import annotations

from hmr_ros.engines.contract import POSTURE, Engine
from hmr_ros.posture.contract import Posture
from hmr_ros.types import Floats


class EnginePosture:
    """`PostureNetwork` on an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __call__(self, points: Floats, log_scale: Floats) -> Posture:
        """See `PostureNetwork`."""
        found = self.engine({"points": points, "log_scale": log_scale})
        return Posture(*(found[name].astype(float) for name in POSTURE.outputs))
