"""`hmr export`: the networks as ONNX files, each compared with torch before it is written."""

from __future__ import annotations

from pathlib import Path

from hmr_ros.body.loading import asset
from hmr_ros.config import HmrConfig
from hmr_ros.errors import AssetError, ConfigError
from hmr_ros.factory import engine_wish, model_folder
from hmr_ros.methods.graphs import GRAPHS, Request
from hmr_ros.runtime.export import OPSET, export
from hmr_ros.runtime.selection import SETTING, exported
from hmr_ros.runtime.tensorrt_build import build_plan

_OF_THE_PRIOR = ("refine", "evidence", "denoiser")


def export_networks(names: list[str], out: Path | None, request: Request) -> int:
    """Write the named networks (none: all whose weights are there) and print how far each is from torch."""
    unknown = [name for name in names if name not in GRAPHS]
    if unknown:
        raise ConfigError(f"there is no network '{unknown[0]}'; choose from {', '.join(GRAPHS)}")
    folder = out or model_folder()
    if request.prior is not None and not request.prior.is_file():
        raise AssetError(f"no weights at {request.prior}; train them with: hmr train prior")
    have_prior = request.prior is not None or asset("prior.safetensors").is_file()
    for name in names or GRAPHS:
        if name in _OF_THE_PRIOR and not have_prior and not names:
            print(f"{name}: left out, there are no weights of the prior; give them with --prior FILE")
            continue
        path, card = export(GRAPHS[name](request), folder)
        error = ", ".join(f"{output} {value:.1e}" for output, value in card.max_error.items())
        print(
            f"{name}: {path}, {path.stat().st_size / 1e6:.1f} MB, opset {OPSET}; largest error against torch: {error}"
        )
    return 0


def build_engine(onnx: Path | None, network: str, out: Path | None, config: HmrConfig, precision: str) -> int:
    """Build and check; without `onnx` the file of `network` that the configuration would run."""
    if onnx is None and network not in SETTING:
        raise ConfigError(f"there is no file of '{network}' to start from; give the one that hmr export wrote")
    path = onnx or exported(engine_wish(config, network), cpu_only=True).path
    plan, differences = build_plan(path, network, out or model_folder(), precision)
    said = ", ".join(f"{name} {value:.1e}" for name, value in differences.items())
    print(f"{plan}, {plan.stat().st_size / 1e6:.1f} MB; largest difference to ONNX Runtime in float32: {said}")
    return 0
