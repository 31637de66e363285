"""A guided frame of live refinement on any engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hmr_ros.body.loading import asset
from hmr_ros.diffusion.settings import Guidance
from hmr_ros.engines.contract import Arrays, Engine, Signature
from hmr_ros.engines.samples import sample
from hmr_ros.errors import AssetError
from hmr_ros.posture.slots import Grid
from hmr_ros.types import Floats

if TYPE_CHECKING:
    from hmr_ros.engines.torch import TorchEngine

PAST = 10  # slots up to the frame itself; the prior's default, written into its weights


class RefineEngine:
    """`posture.live.GuidedFrame` on an engine, with the sizes that its caller needs."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        inputs = engine.signature.inputs
        self.frames = inputs["present"][0]
        self.grid = Grid(PAST, inputs["known"][0])

    def __call__(self, inputs: Arrays) -> dict[str, Floats]:
        """See `GuidedFrame.forward`; float64."""
        return {name: array.astype(float) for name, array in self.engine(inputs).items()}

    def warm_up(self) -> None:
        """Pay now for what the first run costs more."""
        self(sample(self.engine.signature, 1))


def refine_signature(slots: int, features: int, frames: int) -> Signature:
    """Names and sizes as in `GuidedFrame.forward`."""
    older = frames - 1
    return Signature(
        "refine",
        {
            "window": (slots, features), "poses": (slots, 144), "known": (slots,), "aim": (3, 3),
            "means": (older, 144), "precisions": (older, 24), "present": (frames,), "seconds": (older,),
            "log_depth": (frames,), "rays": (12, 2), "confidence": (12,), "bones": (24, 3), "recovered": (3,),
            "sigma_ray": (), "floor": (),
        },
        {"rotations": (24, 3, 3), "pelvis": (3,), "mean": (144,), "precision": (24,)},
    )  # fmt: skip


def torch_refine(frames: int, weights: Path | None = None) -> TorchEngine:
    """The same in torch; `weights` = a file other than the shipped one."""
    from hmr_ros.engines.torch import TorchEngine
    from hmr_ros.posture.live import GuidedFrame
    from hmr_ros.posture.prior import load_network

    path = weights or asset("prior.safetensors")
    network = load_network(path)
    if network.size.past != PAST:
        raise AssetError(f"{path.name} looks at {network.size.past} slots up to the frame, not {PAST}; train it again")
    module = GuidedFrame(network, Guidance(frames=frames))
    return TorchEngine(module, refine_signature(network.size.slots, network.size.features, frames))
