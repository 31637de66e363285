"""The limb network as a graph that engines run and `hmr export` writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hmr_ros.io.model_store import asset
from hmr_ros.networks.limbs import LimbModule, load_limbs
from hmr_ros.perception.limbs import LIMBS
from hmr_ros.runtime.contract import Graph


def limb_graph(cells: int, weights: Mapping[str, Path]) -> Graph:
    """Features to leans; `weights` may name another file for limbs."""
    file = weights.get("limbs") or asset("limbs.safetensors")
    return Graph(LimbModule(load_limbs(file)), LIMBS, (file,), {"cells": cells})
