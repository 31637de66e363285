"""`hmr export`: the networks as ONNX files, each compared with torch before it is written."""

from __future__ import annotations

from pathlib import Path

from hmr_ros.body.loading import asset
from hmr_ros.engines.export import OPSET, export
from hmr_ros.engines.graphs import GRAPHS, Request
from hmr_ros.errors import AssetError, ConfigError
from hmr_ros.factory import model_folder

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
