"""ONNX file -> TensorRT plan for this machine's GPU, refused where it says something else than the ONNX file.

The types of the graph decide the precision (strong typing), which TensorRT 10 can and 11 always does. Written against
their Python interfaces. It has not run on a GPU yet.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hmr_ros.errors import AssetError
from hmr_ros.runtime.contract import Engine, MakeInputs
from hmr_ros.runtime.gpu import Gpu, open_gpu, started
from hmr_ros.runtime.model_card import ModelCard
from hmr_ros.runtime.onnxruntime import OnnxRuntimeEngine
from hmr_ros.runtime.tensorrt import MAX_PEOPLE, TensorRtEngine, card_file, plan_file, write_plan
from hmr_ros.runtime.tolerances import FLOAT16, beyond, differences
from hmr_ros.runtime.weight_types import plain

if TYPE_CHECKING:
    from tensorrt import Builder, IBuilderConfig, IOptimizationProfile

_log = logging.getLogger(__name__)
_USUAL_PEOPLE = 2  # what the kernels are chosen for; every number up to MAX_PEOPLE runs
_WORKSPACE_BYTES = 1 << 30
_CHECKED_BATCHES = tuple(range(1, MAX_PEOPLE + 1))  # each has a CUDA graph of its own


def build_plan(onnx: Path, network: str, folder: Path, make_inputs: MakeInputs) -> tuple[Path, dict[str, float]]:
    """Build, check and write the plan; returns it with the largest difference of each output. AssetError if refused."""
    gpu = open_gpu()
    reference = OnnxRuntimeEngine(onnx, network, threads=1)
    plan = folder / plan_file(onnx, gpu.tensorrt, gpu.name)
    unchecked = folder / f"unchecked-{plan.name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with gpu.current():
            content = _serialized(gpu, onnx, reference.card, folder / "timing.cache")
        made_with = reference.card.made_with | {"tensorrt": gpu.tensorrt, "gpu": gpu.name}
        write_plan(unchecked, content, replace(reference.card, made_with=made_with))
        differences = check_plan(TensorRtEngine(unchecked, network, gpu), reference, make_inputs)
        card_file(unchecked).replace(card_file(plan))
        unchecked.replace(plan)  # only now an engine finds it
    except OSError as error:
        raise AssetError(f"cannot write to {folder}: {error.strerror}; choose another folder with --out") from error
    finally:
        for path in (unchecked, card_file(unchecked)):
            with suppress(OSError):
                path.unlink()
    return plan, differences


def _serialized(gpu: Gpu, onnx: Path, card: ModelCard, timing_cache: Path) -> bytes:
    import tensorrt as trt

    logger, builder = started(trt.Builder)
    # strong typing: tensors keep the types of the graph. From TensorRT 11 on there is nothing else, and no flag for it
    flags = 0 if gpu.major >= 11 else 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(plain(onnx)):
        why = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise AssetError(f"TensorRT {gpu.tensorrt} cannot read {onnx.name} ({why}); export it again: hmr export")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE_BYTES)
    config.clear_flag(trt.BuilderFlag.TF32)  # fp32 means float32
    if config.add_optimization_profile(_profile(builder, card)) < 0:
        raise AssetError(f"TensorRT {gpu.tensorrt} refuses 1 to {MAX_PEOPLE} people for {onnx.name}; its log says why")
    _take_timings(config, timing_cache)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise AssetError(
            f"TensorRT {gpu.tensorrt} cannot build {onnx.name}, its log says why; where it is memory, free some of the"
            " GPU's"
        )
    _keep_timings(config, timing_cache)
    return bytes(plan)


def _take_timings(config: IBuilderConfig, file: Path) -> None:
    """What earlier builds on this GPU measured; a damaged file, or one of another GPU or version, is begun anew."""
    for content in (file.read_bytes() if file.is_file() else b"", b""):
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return
    _log.warning("TensorRT takes no timing cache: builds are not faster the second time")


def _keep_timings(config: IBuilderConfig, file: Path) -> None:
    cache = config.get_timing_cache()
    if cache is None:
        return
    partial = file.with_name(f".{file.name}.{os.getpid()}")  # two builds at once never read half a file
    partial.write_bytes(bytes(cache.serialize()))
    partial.replace(file)


def _profile(builder: Builder, card: ModelCard) -> IOptimizationProfile:
    """One profile for 1 to MAX_PEOPLE people."""
    from tensorrt import Dims

    profile = builder.create_optimization_profile()
    for name, size in card.signature.inputs.items():
        profile.set_shape(name, *(Dims([people, *size]) for people in (1, _USUAL_PEOPLE, MAX_PEOPLE)))
    return profile


def check_plan(engine: Engine, reference: OnnxRuntimeEngine, make_inputs: MakeInputs) -> dict[str, float]:
    """Largest difference of each output over several batches; AssetError beyond the tolerance of the precision."""
    precision = reference.card.precision
    worst = dict.fromkeys(reference.signature.outputs, 0.0)
    for seed, count in enumerate(_CHECKED_BATCHES):
        given = make_inputs(reference.signature, count, seed)
        expected = reference(given)
        errors = differences(expected, engine(given))
        if problem := beyond(errors, expected, precision):
            cure = "build it with --precision fp32" if precision == FLOAT16 else "use engine 'auto'"
            raise AssetError(
                f"the {precision} plan of '{reference.signature.network}' differs from ONNX Runtime {problem} for"
                f" {count} people; {cure}"
            )
        worst = {name: max(worst[name], error) for name, error in errors.items()}
    return worst
