"""Which engine runs a network, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hmr_ros.body.loading import asset
from hmr_ros.errors import AssetError, ConfigError
from hmr_ros.runtime.contract import Engine
from hmr_ros.runtime.model_card import command
from hmr_ros.runtime.onnxruntime import OnnxRuntimeEngine

# what is baked into a network's graph and part of its file's name
SETTING = {"posture": "steps", "refine": "frames", "image": "crop_px", "decoder": "steps"}


@dataclass(frozen=True)
class Wish:
    """What the configuration asks for, and where exported files may lie; TensorRT plans in the last folder."""

    network: str
    setting: int  # steps of the decoder, frames of the window, pixels of a crop's side
    threads: int
    folders: tuple[Path, ...]

    @property
    def file(self) -> str:
        """Name of the exported graph."""
        return graph_file(self.network, self.setting)


@dataclass(frozen=True)
class Chosen:
    """An engine and why it was taken."""

    engine: Engine
    reason: str


def graph_file(network: str, setting: int) -> str:
    """Name of the exported graph of that network."""
    return f"{network}_{setting}.onnx"


def choose(engine: str, wish: Wish) -> Chosen:
    """The engine of that name, or for `auto` the first that can run. AssetError with the cure if there is none."""
    if wish.setting < 1:
        raise ConfigError(f"{SETTING[wish.network]} is {wish.setting}; '{wish.network}' takes 1 or more")
    if engine != "auto":
        return Chosen(_ENGINES[engine](wish), f"engine: {engine}")
    try:
        return Chosen(exported(wish), "auto: its file belongs to the weights and it needs no torch")
    except AssetError as error:
        why = str(error)
    try:
        return Chosen(_torch(wish), f"auto: {why}")
    except AssetError as error:
        raise AssetError(f"{why}; {error}") from error


def exported(wish: Wish, *, cpu_only: bool = False) -> OnnxRuntimeEngine:
    """The first exported graph that belongs to the weights that are installed; AssetError if there is none."""
    name, cure, setting = wish.file, command(wish.network, wish.setting), SETTING[wish.network]
    said = []
    for path in (folder / name for folder in wish.folders):
        if not path.is_file():
            continue
        try:
            engine = OnnxRuntimeEngine(path, wish.network, wish.threads, cpu_only=cpu_only)
        except AssetError as error:
            said.append(str(error))
            continue
        outdated = engine.card.outdated(asset(""))
        if not outdated and engine.card.settings.get(setting) == wish.setting:
            return engine
        said.append(f"{name} was made from other {' and '.join(outdated) or setting}; make it again with: {cure}")
    raise AssetError(said[0] if said else f"no ONNX file for {wish.setting} {setting} ({name}); make it with: {cure}")


def _torch(wish: Wish) -> Engine:
    try:
        import torch

        from hmr_ros.methods.originals import original
        from hmr_ros.runtime.torch import on_gpu
    except ModuleNotFoundError as error:
        raise AssetError(
            f"engine 'torch' needs {error.name}: pip install {error.name}, or use 'onnxruntime', or recover 'kinematic'"
        ) from error
    torch.set_num_threads(wish.threads)
    return on_gpu(original(wish.network, wish.setting))


def _tensorrt(wish: Wish) -> Engine:
    from hmr_ros.runtime.tensorrt import TensorRtEngine, find_plan, open_gpu

    gpu = open_gpu()
    onnx = exported(wish, cpu_only=True).path  # the plan's name has its hash
    return TensorRtEngine(find_plan(onnx, wish.folders[-1], gpu), wish.network, gpu)


_ENGINES: dict[str, Callable[[Wish], Engine]] = {
    "torch": _torch,
    "onnxruntime": exported,
    "tensorrt": _tensorrt,
}
