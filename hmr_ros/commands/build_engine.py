"""`hmr build-engine`: a TensorRT plan of an exported network for this machine's GPU."""

from __future__ import annotations

from pathlib import Path

from hmr_ros.config import HmrConfig
from hmr_ros.engines.choice import SETTING, exported
from hmr_ros.engines.tensorrt_build import build_plan
from hmr_ros.errors import ConfigError
from hmr_ros.factory import engine_wish, model_folder


def build_engine(onnx: Path | None, network: str, out: Path | None, config: HmrConfig, precision: str) -> int:
    """Build and check; without `onnx` the file of `network` that the configuration would run."""
    if onnx is None and network not in SETTING:
        raise ConfigError(f"there is no file of '{network}' to start from; give the one that hmr export wrote")
    path = onnx or exported(engine_wish(config, network), cpu_only=True).path
    plan, differences = build_plan(path, network, out or model_folder(), precision)
    said = ", ".join(f"{name} {value:.1e}" for name, value in differences.items())
    print(f"{plan}, {plan.stat().st_size / 1e6:.1f} MB; largest difference to ONNX Runtime in float32: {said}")
    return 0
