"""The posture networks on any engine, and which engine that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hmr_ros.body.loading import asset, load_body
from hmr_ros.engines.card import command
from hmr_ros.engines.contract import POSTURE, Engine
from hmr_ros.engines.onnxruntime import OnnxRuntimeEngine
from hmr_ros.errors import AssetError, ConfigError
from hmr_ros.posture.contract import Posture
from hmr_ros.types import Floats


class EnginePosture:
    """`PostureNetwork` on an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __call__(self, points: Floats, log_scale: Floats) -> Posture:
        """See `PostureNetwork`."""
        found = self.engine({"points": points, "log_scale": log_scale})
        return Posture(*(found[name].astype(float) for name in POSTURE.outputs))


@dataclass(frozen=True)
class Wish:
    """What the configuration asks for, and where exported files may lie; TensorRT plans in the last folder."""

    steps: int
    threads: int
    folders: tuple[Path, ...]


@dataclass(frozen=True)
class Chosen:
    """An engine and why it was taken."""

    engine: Engine
    reason: str


def choose_posture(engine: str, wish: Wish) -> Chosen:
    """The engine of that name, or for `auto` the first that can run. AssetError with the cure if there is none."""
    if wish.steps < 1:
        raise ConfigError(f"steps is {wish.steps}; the decoder takes 1 step or more")
    if engine != "auto":
        return Chosen(_ENGINES[engine](wish), f"engine: {engine}")
    try:
        return Chosen(exported_posture(wish), "auto: its file belongs to the weights and it needs no torch")
    except AssetError as error:
        why = str(error)
    try:
        return Chosen(_torch(wish), f"auto: {why}")
    except AssetError as error:
        raise AssetError(f"{why}; {error}") from error


def posture_file(steps: int) -> str:
    """Name of the exported graph with so many steps."""
    return f"posture_{steps}.onnx"


def exported_posture(wish: Wish, *, cpu_only: bool = False) -> OnnxRuntimeEngine:
    """The first exported graph that belongs to the weights that are installed; AssetError if there is none."""
    name, cure = posture_file(wish.steps), command("posture", wish.steps)
    said = []
    for path in (folder / name for folder in wish.folders):
        if not path.is_file():
            continue
        try:
            engine = OnnxRuntimeEngine(path, "posture", wish.threads, cpu_only=cpu_only)
        except AssetError as error:
            said.append(str(error))
            continue
        outdated = engine.card.outdated(asset(""))
        if not outdated and engine.card.settings.get("steps") == wish.steps:
            return engine
        said.append(f"{name} was made from other {' and '.join(outdated) or 'step counts'}; make it again with: {cure}")
    raise AssetError(said[0] if said else f"no ONNX file for {wish.steps} steps ({name}); make it with: {cure}")


def _torch(wish: Wish) -> Engine:
    try:
        import torch

        from hmr_ros.engines.torch import TorchEngine
        from hmr_ros.posture.networks import load_torch_posture
    except ModuleNotFoundError as error:
        raise AssetError(
            f"engine 'torch' needs {error.name}: pip install {error.name}, or use 'onnxruntime', or recover 'kinematic'"
        ) from error
    torch.set_num_threads(wish.threads)
    return TorchEngine(load_torch_posture(load_body(None), wish.steps).module, POSTURE)


def _tensorrt(wish: Wish) -> Engine:
    from hmr_ros.engines.tensorrt import TensorRtEngine, find_plan, open_gpu

    gpu = open_gpu()
    onnx = exported_posture(wish, cpu_only=True).path  # the plan's name has its hash
    return TensorRtEngine(find_plan(onnx, wish.folders[-1], gpu), "posture", gpu)


_ENGINES: dict[str, Callable[[Wish], Engine]] = {
    "torch": _torch,
    "onnxruntime": exported_posture,
    "tensorrt": _tensorrt,
}
