"""`hmr export` and `hmr build-engine`: networks as ONNX files compared with torch, and as TensorRT plans."""

from __future__ import annotations

from pathlib import Path

from hmr_ros.config import HmrConfig
from hmr_ros.errors import AssetError, ConfigError
from hmr_ros.factory import engine_request, model_folder
from hmr_ros.io.model_store import asset
from hmr_ros.methods.dummy_inputs import make_inputs
from hmr_ros.methods.registry import NETWORKS
from hmr_ros.runtime.selection import exported
from hmr_ros.runtime.tensorrt_build import build_plan
from hmr_ros.runtime.tolerances import FLOAT16, FLOAT32


def export_networks(
    names: list[str], out: Path | None, config: HmrConfig, weights: dict[str, Path], precision: str = FLOAT32
) -> int:
    """Write the named networks (none: all whose weights are there) and print how far each is from torch.

    `weights`: files to take instead of the shipped ones, by name (mesh2d, m2p, prior, limbs, image).
    """
    try:
        from hmr_ros.runtime.export import OPSET, export
    except ModuleNotFoundError as error:
        raise AssetError(f"hmr export needs {error.name}: pip install {error.name}") from error
    unknown = [name for name in names if name not in NETWORKS]
    if unknown:
        raise ConfigError(f"there is no network '{unknown[0]}'; choose from {', '.join(NETWORKS)}")
    for name, file in weights.items():
        if not file.is_file():
            raise AssetError(f"no weights at {file}; train them with: hmr train {name}")
    folder = out or model_folder()
    for name in names or NETWORKS:
        needed = [weights.get(w) or asset(f"{w}.safetensors") for w in NETWORKS[name].weights]
        missing = [file for file in needed if not file.is_file()]
        if missing and not names:
            print(f"{name}: left out, there are no weights {missing[0].name}")
            continue
        request = engine_request(config, name, weights, half=precision == FLOAT16)
        path = folder / request.file
        card = export(request.graph(), path, make_inputs, precision)
        errors = ", ".join(f"{output} {value:.1e}" for output, value in card.max_error.items())
        size = path.stat().st_size / 1e6
        print(f"{name}: {path}, {size:.1f} MB, opset {OPSET}; largest error against torch: {errors}")
    return 0


def build_engine(onnx: Path | None, network: str, out: Path | None, config: HmrConfig, precision: str) -> int:
    """Build and check; without `onnx` the file of `network` that the configuration would run, in that precision."""
    path = onnx or exported(engine_request(config, network, half=precision == FLOAT16)).path
    plan, differences = build_plan(path, network, out or model_folder(), make_inputs)
    said = ", ".join(f"{name} {value:.1e}" for name, value in differences.items())
    print(f"{plan}, {plan.stat().st_size / 1e6:.1f} MB; largest difference to ONNX Runtime in float32: {said}")
    return 0
