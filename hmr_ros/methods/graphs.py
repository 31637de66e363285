"""The networks that can be exported, one entry each: the module, what it takes and gives, what it was made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from hmr_ros.body.loading import asset, load_body
from hmr_ros.methods.originals import torch_decoder, torch_image
from hmr_ros.methods.posturehmr.graphs import load_torch_posture
from hmr_ros.methods.scorehmr.prior import POSE_6D, Prior, load_network
from hmr_ros.methods.scorehmr.streaming import PAST, torch_refine
from hmr_ros.runtime.contract import POSTURE, Signature
from hmr_ros.runtime.selection import graph_file


@dataclass(frozen=True)
class Request:
    """What to export; None = the shipped weights."""

    steps: int = 2
    window: int = 16
    mesh2d: Path | None = None
    m2p: Path | None = None
    prior: Path | None = None


@dataclass(frozen=True)
class Graph:
    """One network, ready for export."""

    file: str
    module: nn.Module
    signature: Signature
    sources: list[Path]
    settings: dict[str, int] = field(default_factory=dict)


class _Expectation(nn.Module):
    """The fields of `posture.prior.Expected` from what the frames around say."""

    def __init__(self, prior: Prior) -> None:
        super().__init__()
        self._prior = prior

    def forward(self, window: Tensor, poses: Tensor, present: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        context, pose, log_sigma = self._prior.evidence(window, poses, present)
        return pose, log_sigma.exp(), self._prior.denoiser.share(context)


def _posture(request: Request) -> Graph:
    mesh2d, m2p = request.mesh2d or asset("mesh2d.safetensors"), request.m2p or asset("m2p.safetensors")
    module = load_torch_posture(load_body(None), request.steps, mesh2d, m2p).module
    sources = [mesh2d, m2p, asset("open_body.npz"), asset("open_coarse.npz")]
    return Graph(graph_file("posture", request.steps), module, POSTURE, sources, {"steps": request.steps})


def _image(_: Request) -> Graph:
    engine = torch_image()
    crop_px = engine.signature.inputs["pictures"][-1]
    return Graph(
        graph_file("image", crop_px),
        engine.module,
        engine.signature,
        [asset("image.safetensors")],
        {"crop_px": crop_px},
    )


def _decoder(request: Request) -> Graph:
    engine = torch_decoder(request.steps)
    sources = [asset(n) for n in ("mesh2d.safetensors", "m2p.safetensors", "open_body.npz", "open_coarse.npz")]
    return Graph(
        graph_file("decoder", request.steps), engine.module, engine.signature, sources, {"steps": request.steps}
    )


def _evidence(request: Request) -> Graph:
    path = request.prior or asset("prior.safetensors")
    prior = load_network(path)
    size = prior.size
    signature = Signature(
        "evidence",
        {"window": (size.slots, size.features), "poses": (size.slots, POSE_6D), "present": (size.slots,)},
        {"pose": (POSE_6D,), "sigma": (POSE_6D // 6,), "share": (size.blocks * size.width,)},
    )
    return Graph("evidence.onnx", _Expectation(prior), signature, [path])


def _denoiser(request: Request) -> Graph:
    path = request.prior or asset("prior.safetensors")
    prior = load_network(path)
    share = prior.size.blocks * prior.size.width
    signature = Signature("denoiser", {"x_t": (POSE_6D,), "t": (), "share": (share,)}, {"noise": (POSE_6D,)})
    return Graph("denoiser.onnx", prior.denoiser, signature, [path])


def _refine(request: Request) -> Graph:
    path = request.prior or asset("prior.safetensors")
    engine = torch_refine(request.window, path)
    settings = {"frames": request.window, "past": PAST}
    return Graph(graph_file("refine", request.window), engine.module, engine.signature, [path], settings)


GRAPHS: dict[str, Callable[[Request], Graph]] = {
    "posture": _posture,
    "refine": _refine,
    "image": _image,
    "decoder": _decoder,
    "evidence": _evidence,
    "denoiser": _denoiser,
}
