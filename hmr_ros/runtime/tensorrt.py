"""TensorRT plans on an NVIDIA GPU; `hmr build-engine` makes them (runtime/tensorrt_build.py).

Written against the Python interfaces of TensorRT 10 and 11. It has not run on a GPU yet.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from hmr_ros.errors import AssetError
from hmr_ros.runtime.contract import Engine
from hmr_ros.runtime.gpu import Gpu, started
from hmr_ros.runtime.model_card import KEY, ModelCard, file_hash, read_card
from hmr_ros.runtime.tensorrt_run import Memory, Run
from hmr_ros.runtime.tolerances import FLOAT16
from hmr_ros.types import Floats

if TYPE_CHECKING:
    from tensorrt import ICudaEngine, Logger

MAX_PEOPLE = 8  # of the optimisation profile; more are answered in several runs
_log = logging.getLogger(__name__)


def plan_file(onnx: Path, trt_version: str, gpu: str) -> str:
    """Name of the plan: a plan runs only for the graph, TensorRT and GPU that it was built for."""
    where = re.sub(r"[^A-Za-z0-9]+", "-", gpu).strip("-").lower()
    return f"{onnx.stem}.{file_hash(onnx)[:12]}.trt{trt_version}.{where}.plan"


def find_plan(graphs: list[Path], folder: Path, gpu: Gpu) -> Path:
    """The plan of the first of these exported graphs that has one for this machine; AssetError if none has."""
    names = [plan_file(onnx, gpu.tensorrt, gpu.name) for onnx in graphs]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise AssetError(f"no TensorRT plan {names[0]}; build it on this machine with: hmr build-engine {graphs[0]}")


class TensorRtEngine(Engine):
    """One plan with its card beside it (`NAME.plan.json`); every number of people has a CUDA graph, where it can."""

    kind = "tensorrt"
    max_batch = MAX_PEOPLE

    def __init__(self, plan: Path, network: str, gpu: Gpu) -> None:
        """Runs and captures for 1 to MAX_PEOPLE people. AssetError where the plan or its card cannot be used."""
        self.card = _read_plan_card(plan, network)
        built = {name: self.card.made_with.get(name, "unknown") for name in ("tensorrt", "gpu")}
        if built != {"tensorrt": gpu.tensorrt, "gpu": gpu.name}:
            raise AssetError(
                f"{plan.name} was built by TensorRT {built['tensorrt']} for {built['gpu']}, here are {gpu.tensorrt} and"
                f" {gpu.name}; build it on this machine: hmr build-engine --network {network}"
            )
        self._gpu = gpu
        super().__init__(
            self.card.signature, f"cuda ({gpu.name})", "float16" if self.card.precision == FLOAT16 else "float32"
        )
        with gpu.current():
            self._logger, engine = _loaded(plan, network)
            memory = Memory(gpu, engine, self.signature, MAX_PEOPLE)
            self.runs = [Run(engine, memory, self.signature, people) for people in range(1, MAX_PEOPLE + 1)]
        self._report()

    def _report(self) -> None:
        network = self.signature.network
        captured = [run.people for run in self.runs if run.graph is not None]
        if captured:
            first = self.runs[captured[0] - 1]
            _log.info(
                "%s: CUDA graphs for %s people; for %d, a run takes %.3f ms with it and %.3f ms without", network,
                ", ".join(map(str, captured)), first.people, 1e3 * first.seconds, 1e3 * first.plain_s,
            )  # fmt: skip
        if self._gpu.cuda.cannot_capture:
            _log.warning(
                "%s: no CUDA graphs (%s); kernels are launched one by one, %.3f ms a run for 1 people, %.3f ms for %d",
                network, self._gpu.cuda.cannot_capture, 1e3 * self.runs[0].seconds, 1e3 * self.runs[-1].seconds,
                self.runs[-1].people,
            )  # fmt: skip
            return
        for run in self.runs:
            if run.graph is None:
                _log.warning(
                    "%s: no CUDA graph for %d people (%s); its kernels are launched one by one, %.3f ms a run", network,
                    run.people, run.refusal, 1e3 * run.seconds,
                )  # fmt: skip

    def _run(self, inputs: dict[str, Floats]) -> dict[str, Floats]:
        people = len(next(iter(inputs.values())))
        with self._gpu.current():
            return self.runs[people - 1](inputs)


def _loaded(plan: Path, network: str) -> tuple[Logger, ICudaEngine]:
    """The engine, and the logger that it writes to as long as it lives."""
    import tensorrt

    logger, runtime = started(tensorrt.Runtime)
    engine = runtime.deserialize_cuda_engine(plan.read_bytes())
    if engine is None:
        raise AssetError(
            f"TensorRT cannot read {plan.name}; delete it and build it again: hmr build-engine --network {network}"
        )
    return logger, engine


def write_plan(plan: Path, content: bytes, card: ModelCard) -> None:
    """The plan and its card."""
    card_file(plan).write_text(card.to_json(), encoding="utf-8")
    plan.write_bytes(content)


def card_file(plan: Path) -> Path:
    """Where the card of a plan lies."""
    return plan.with_name(plan.name + ".json")


def _read_plan_card(plan: Path, network: str) -> ModelCard:
    try:
        text = card_file(plan).read_text(encoding="utf-8")
    except OSError as error:
        raise AssetError(f"{card_file(plan).name} is missing; build the plan again: hmr build-engine") from error
    return read_card({KEY: text}, plan, network)
