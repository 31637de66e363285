"""ONNX Runtime on the GPU, where it says what the CPU says and is faster."""

from __future__ import annotations

from hmr_ros.runtime.contract import Arrays, Engine, MakeInputs
from hmr_ros.runtime.onnxruntime import CUDA, OnnxRuntimeEngine, available_providers
from hmr_ros.runtime.timing import shortest_s
from hmr_ros.runtime.tolerances import FLOAT32, beyond, differences

_COMPARED = (1, 4, 8)  # people


def on_gpu(here: OnnxRuntimeEngine, make_inputs: MakeInputs) -> tuple[OnnxRuntimeEngine, str]:
    """What shall run the file of `here`, which is on the CPU, and why; "" where there is nothing to choose from."""
    if CUDA not in available_providers():
        return here, ""
    network = here.signature.network
    try:
        there = OnnxRuntimeEngine(here.path, network, here.threads, cuda=True)
        seconds = {"cpu": 0.0, "cuda": 0.0}
        for count in _COMPARED:
            given = make_inputs(here.signature, count, count)
            other = _other(here, there, given)
            if other:
                return here, f"on the CPU, for the CUDA provider differs {other} for {count} people"
            for engine in (here, there):
                seconds[engine.device] += _seconds(engine, given)
    except Exception as error:  # what its CUDA raises has no common base; the CPU goes on
        return here, f"on the CPU, for the CUDA provider fails ({' '.join(str(error).split())[:120]})"
    cpu, cuda = (f"{1e3 * s / len(_COMPARED):.2f} ms" for s in seconds.values())
    if seconds["cuda"] < seconds["cpu"]:
        return there, f"on the GPU, which agrees with the CPU and takes {cuda} instead of {cpu}"
    return here, f"on the CPU, for the CUDA provider takes {cuda} instead of {cpu}"


def _other(here: Engine, there: Engine, given: Arrays) -> str:
    """By how much `there` is too far from `here`; nothing if it is not."""
    expected = here(given)
    return beyond(differences(expected, there(given)), expected, FLOAT32)


def _seconds(engine: Engine, given: Arrays) -> float:
    return shortest_s(lambda: engine(given))
