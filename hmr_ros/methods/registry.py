"""What there is to choose from: recoveries, calibrations, refinements and networks, by their names.

Imports no method: an entry names the function that builds it, which is loaded when the entry is chosen. A new method is
one entry here, a new network also one in `dummy_inputs`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

MAX_LAG = 4  # frames; the prior of temporal refinement reads no further ahead


@dataclass(frozen=True)
class Method:
    """A recovery, a calibration or a refinement."""

    build: str  # "module:function"; `contract.Parts` -> the method
    needs_posture: bool  # whether it reads the 81 points of the posture networks from the evidence
    source: str = ""  # "module:function" of its own source of the 81 points, on top of the posture networks
    any_body: bool = False  # whether it works on any SMPL-format body; else on the open body alone
    samples: bool = False  # whether a recovery gives hypotheses of its own where they are asked for
    needs_heat: bool = False  # whether it, its source or its hypotheses read `Evidence.heat`
    hypotheses: str = ""  # "module:function"; what samples about this recovery, where that is not `HYPOTHESES`


@dataclass(frozen=True)
class Network:
    """A network that engines run and `hmr export` writes."""

    graph: str  # "module:function"; (setting, weights) -> `runtime.contract.Graph`
    baked: str  # name in the graph's metadata of the setting that is part of it
    weights: tuple[str, ...]  # names of the .safetensors files it is made from
    setting: str = ""  # the configuration's name of that setting; "": `default` always
    default: int = 0
    option: str = ""  # of `hmr export`

    def file(self, name: str, setting: int, half: bool = False) -> str:
        """Name of the exported graph; `half`: with products in float16."""
        return f"{name}_{setting}{'_fp16' if half else ''}.onnx"

    def command(self, name: str, setting: int, half: bool = False) -> str:
        """What exports it."""
        options = f" {self.option} {setting}" if self.option else ""
        return f"hmr export {name}{options}{' --precision fp16' if half else ''}"


_POSTURE, _SCORE = "hmr_ros.methods.posturehmr", "hmr_ros.methods.scorehmr"
_DIFF, _HMDIFF = "hmr_ros.methods.diffhmr", "hmr_ros.methods.hmdiff"

RECOVERIES = {
    "kinematic": Method("hmr_ros.methods.kinematic:build", needs_posture=False, any_body=True),
    "posture": Method(f"{_POSTURE}.recovery:build", needs_posture=True),
    "diffhmr": Method(f"{_DIFF}.recovery:build", needs_posture=True, samples=True),
    "hmdiff": Method(
        f"{_POSTURE}.recovery:build",
        needs_posture=True,
        source=f"{_HMDIFF}.source:build",
        needs_heat=True,
        hypotheses=f"{_HMDIFF}.hypotheses:build",
    ),
}
HYPOTHESES = Method(f"{_DIFF}.hypotheses:build", needs_posture=True)  # beside recoveries that do not sample
REFINEMENTS = {
    "keypoints": Method(f"{_SCORE}.streaming:build_keypoints", needs_posture=True),
    "temporal": Method(f"{_SCORE}.streaming:build_temporal", needs_posture=True),
}
CALIBRATIONS = {
    "parallel": Method("hmr_ros.methods.pchmr.stages:build_parallel", needs_posture=False),
    "serial": Method("hmr_ros.methods.pchmr.stages:build_serial", needs_posture=False),
    "fit": Method("hmr_ros.methods.pchmr.stages:build_fit", needs_posture=True),
}
AUTO_CALIBRATION = "fit"  # the better one, see docs/results.md
_M2P = ("mesh2d", "m2p")
NETWORKS = {
    "posture": Network(f"{_POSTURE}.graphs:posture_graph", "steps", _M2P, "posture.steps", option="--steps"),
    "refine": Network(
        f"{_SCORE}.guided_frame:refine_graph", "frames", ("prior",), "temporal.window", option="--window"
    ),
    "hypotheses": Network(f"{_DIFF}.sampling:hypotheses_graph", "steps", ("diffhmr",), default=10),
    "hmdiff": Network(
        f"{_HMDIFF}.graphs:hmdiff_graph", "samples", ("mesh2d", "hmdiff"), "hmdiff.samples", option="--samples"
    ),
    "limbs": Network("hmr_ros.perception.limb_graph:limb_graph", "cells", ("limbs",), default=32),
    "image": Network(f"{_POSTURE}.graphs:image_graph", "crop_px", ("image",), default=128),
    "decoder": Network(f"{_POSTURE}.graphs:decoder_graph", "steps", _M2P, "posture.steps", option="--steps"),
}


def load(entry: str) -> Any:
    """The function that an entry names."""
    module, _, name = entry.partition(":")
    return getattr(importlib.import_module(module), name)
