"""The limb network: from a map inside BlazePose to joints, and to how each bone leans, with how certain that is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hmr_ros.body.joints import DIRECTED_BONES, DIRECTED_BONES_SMPL, SMPL, SMPL_JOINTS, SMPL_LIMBS
from hmr_ros.errors import AssetError
from hmr_ros.networks.trunk import FEATURES, Trunk
from hmr_ros.networks.weights import read_weights

# The summed lengths of these bones are one size for everybody, for an image does not show how large a person is.
SIZE_BONES = [
    *[(SMPL[a.format(s)], SMPL[b.format(s)]) for s in ("left", "right") for a, b in
      (("pelvis", "{}_hip"), ("{}_hip", "{}_knee"), ("{}_knee", "{}_ankle"), ("{}_shoulder", "{}_elbow"),
       ("{}_elbow", "{}_wrist"))],
    *[(SMPL[a], SMPL[b]) for a, b in
      (("pelvis", "neck"), ("neck", "head"), ("left_shoulder", "right_shoulder"))],
]  # fmt: skip
SIZE = 4.0
_LOG_SPREAD = (-4.0, 1.0)  # of sines
_LAPLACE = 2**0.5  # its standard deviation in spreads
_SHORTEST = 1e-3


@dataclass(frozen=True)
class LimbSize:
    """There is one size: that of the published network, whose weights are the start."""

    joints: int = len(SMPL_JOINTS)
    bones: int = len(DIRECTED_BONES)


class LimbAnswer(NamedTuple):
    """What the network says of B crops, in the axes of a camera aimed at the middle of the crop and turned with it."""

    joints: Tensor  # [B,24,3] from the pelvis, a person measuring `SIZE` along `SIZE_BONES`
    points: Tensor  # [B,24,2] crop sides from the middle
    sines: Tensor  # [B,12] of each bone's lean from the camera's plane; 1: straight away along its line of sight
    log_spread: Tensor  # [B,12] of the sine, Laplace


class LimbNetwork(nn.Module):
    """[B,32,32,32] (channels first) -> `LimbAnswer`: the trunk, and one linear layer each behind it."""

    mean: Tensor
    std: Tensor

    def __init__(self, size: LimbSize | None = None) -> None:
        super().__init__()
        self.size = size or LimbSize()
        self.trunk = Trunk()
        self.joints = nn.Linear(FEATURES, 3 * self.size.joints)
        self.points = nn.Linear(FEATURES, 2 * self.size.joints)
        self.sines, self.spread = (nn.Linear(FEATURES, self.size.bones) for _ in range(2))
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("std", torch.ones(FEATURES))
        for layer in (self.sines, self.spread):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> LimbAnswer:
        """See the class."""
        features = (self.trunk(x) - self.mean) / self.std
        joints = self.joints(features).unflatten(1, (-1, 3))
        bones = joints[:, DIRECTED_BONES_SMPL[:, 1]] - joints[:, DIRECTED_BONES_SMPL[:, 0]]
        lean = bones[..., 2] / bones.norm(dim=-1).clamp(min=_SHORTEST)
        points = self.points(features).unflatten(1, (-1, 2))
        # what a bone's line of sight differs from the axis by is left to a layer of its own
        return LimbAnswer(joints, points, lean + self.sines(features), self.spread(features).clamp(*_LOG_SPREAD))


class LimbModule(nn.Module):
    """As a graph: what is exported, and what torch runs."""

    def __init__(self, network: LimbNetwork) -> None:
        super().__init__()
        self._network = network.eval()

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`features` [B,32,32,32] (channels last) -> limb joints [B,12,2] in crop sides from the middle, sines [B,12],
        their standard deviations [B,12]."""
        seen = self._network(features.permute(0, 3, 1, 2))
        return seen.points[:, SMPL_LIMBS], seen.sines.clamp(-1.0, 1.0), _LAPLACE * seen.log_spread.exp()


def load_limbs(path: Path) -> LimbNetwork:
    """The weights of `hmr train limbs`; AssetError."""
    state, size, _ = read_weights(path, "limbs")
    try:
        network = LimbNetwork(LimbSize(**size))
        network.load_state_dict(state)
    except (TypeError, RuntimeError) as error:
        raise AssetError(f"{path} has other sizes than this version; train it anew: hmr train limbs") from error
    return network.eval()
