"""`hmr bench --roofline`: each network compared with the measured roofline of the machine (Williams et al. 2009)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from hmr_ros.commands.timing import times
from hmr_ros.config import HmrConfig
from hmr_ros.factory import choose_engine, engine_request
from hmr_ros.methods.dummy_inputs import make_inputs
from hmr_ros.methods.registry import NETWORKS
from hmr_ros.runtime.timing import shortest_s
from hmr_ros.runtime.torch import TorchEngine
from hmr_ros.types import Floats

_SIDE, _STREAM = 1024, 32_000_000  # numbers in a side of the matrix product, and in the copied array
_FLOAT = 4  # bytes


def roofline(config: HmrConfig, people: list[int], repeats: int) -> dict[str, Any]:
    """Peaks of the machine, and for each network and number of people: operations, bytes, time, share of what is
    attainable with so many operations a byte. Operations are those of matrix products and convolutions; bytes are
    weights, inputs and outputs, each once."""
    gflops, gbytes = peak_gflops(config.threads), peak_gbytes()
    rows = []
    for network in NETWORKS:
        module = TorchEngine(engine_request(config, network).graph())
        engine = choose_engine(config, network).engine
        weights = _FLOAT * sum(p.numel() for p in module.module.parameters())
        for count in people:
            given = make_inputs(engine.signature, count)
            with FlopCounterMode(display=False) as counter:
                answer = module(given)
            flops = counter.get_total_flops()
            moved = weights + sum(a.nbytes for a in (*given.values(), *answer.values()))
            seconds = float(np.median(np.array(times(partial(engine, given), repeats).seconds)))
            attainable = min(gflops * 1e9, gbytes * 1e9 * flops / moved)
            rows.append(
                {
                    "network": network, "people": count, "mflop": round(flops / 1e6, 2), "mbyte": round(moved / 1e6, 2),
                    "ms": round(1e3 * seconds, 3), "share": round(flops / seconds / attainable, 3),
                }
            )  # fmt: skip
    return {"peak_gflops": round(gflops, 1), "peak_gbytes_per_s": round(gbytes, 1), "networks": rows}


def peak_gflops(threads: int) -> float:
    """Best of some products of matrices in float32."""
    torch.set_num_threads(threads)
    a = torch.ones(_SIDE, _SIDE)
    return 2e-9 * _SIDE**3 / shortest_s(lambda: a @ a, times=8)


def peak_gbytes() -> float:
    """Best of some copies of an array that no cache holds; read and written."""
    source: Floats = np.ones(_STREAM, np.float32)
    target = np.empty_like(source)
    return 2e-9 * source.nbytes / shortest_s(lambda: np.copyto(target, source), times=8)


def print_roofline(found: dict[str, Any]) -> None:
    """A table."""
    print(f"machine: {found['peak_gflops']} GFLOP/s, {found['peak_gbytes_per_s']} GB/s (measured)")
    print(f"{'network':<20} {'people':>6} {'MFLOP':>8} {'MB':>8} {'ms':>8} {'share of attainable':>20}")
    for row in found["networks"]:
        print(
            f"{row['network']:<20} {row['people']:>6} {row['mflop']:>8.1f} {row['mbyte']:>8.1f} {row['ms']:>8.2f}"
            f" {100 * row['share']:>18.0f} %"
        )
