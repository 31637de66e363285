"""ONNX file -> TensorRT plan for this machine's GPU, refused where it says something else than the ONNX file.

The types of the graph decide the precision (strong typing), which TensorRT 10 can and 11 always does. Written against
their Python interfaces. It has not run on a GPU yet.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hmr_ros.errors import AssetError
from hmr_ros.runtime.contract import Engine, MakeInputs
from hmr_ros.runtime.model_card import ModelCard
from hmr_ros.runtime.onnxruntime import OnnxRuntimeEngine
from hmr_ros.runtime.tensorrt import MAX_PEOPLE, Gpu, TensorRtEngine, card_file, open_gpu, plan_file, write_plan
from hmr_ros.runtime.tolerances import FLOAT16, allowed, differences
from hmr_ros.runtime.weight_types import plain

_USUAL_PEOPLE = 2  # what the kernels are chosen for; every number up to MAX_PEOPLE runs
_WORKSPACE_BYTES = 1 << 30
_CHECKED_BATCHES = (1, 2, 5, MAX_PEOPLE)


def build_plan(onnx: Path, network: str, folder: Path, make_inputs: MakeInputs) -> tuple[Path, dict[str, float]]:
    """Build, check and write the plan; returns it with the largest difference of each output. AssetError if refused."""
    gpu = open_gpu()
    reference = OnnxRuntimeEngine(onnx, network, threads=1, cpu_only=True)
    plan = folder / plan_file(onnx, gpu.trt.__version__, gpu.name)
    unchecked = folder / f"unchecked-{plan.name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with gpu.current():
            content = _serialized(gpu, onnx, reference.card, folder / "timing.cache")
        made_with = reference.card.made_with | {"tensorrt": gpu.trt.__version__, "gpu": gpu.name}
        write_plan(unchecked, content, replace(reference.card, made_with=made_with))
        differences = check_plan(TensorRtEngine(unchecked, network, gpu), reference, make_inputs)
        card_file(unchecked).replace(card_file(plan))
        unchecked.replace(plan)  # only now an engine finds it
    except OSError as error:
        raise AssetError(f"cannot write to {folder}: {error.strerror}; choose another folder with --out") from error
    finally:
        for path in (unchecked, card_file(unchecked)):
            path.unlink(missing_ok=True)
    return plan, differences


def _serialized(gpu: Gpu, onnx: Path, card: ModelCard, timing_cache: Path) -> bytes:
    trt = gpu.trt
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network(_strongly_typed(trt))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(plain(onnx)):
        said = "; ".join(str(parser.get_error(i).desc()) for i in range(parser.num_errors))
        raise AssetError(f"TensorRT {trt.__version__} cannot read {onnx.name} ({said}); export it again: hmr export")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE_BYTES)
    config.clear_flag(trt.BuilderFlag.TF32)  # fp32 means float32
    config.add_optimization_profile(_profile(builder, card))
    known = timing_cache.read_bytes() if timing_cache.is_file() else b""
    if not config.set_timing_cache(config.create_timing_cache(known), ignore_mismatch=False):  # of another GPU
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise AssetError(f"TensorRT {trt.__version__} cannot build {onnx.name}; its log above says why")
    timing_cache.write_bytes(bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


def _strongly_typed(trt: Any) -> int:
    """Creation flags of a network whose tensors keep the types of the graph; from TensorRT 11 on there is no other."""
    flag = getattr(getattr(trt, "NetworkDefinitionCreationFlag", None), "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _profile(builder: Any, card: ModelCard) -> Any:
    """One profile for 1 to MAX_PEOPLE people."""
    profile = builder.create_optimization_profile()
    for name, size in card.signature.inputs.items():
        profile.set_shape(name, (1, *size), (_USUAL_PEOPLE, *size), (MAX_PEOPLE, *size))
    return profile


def check_plan(engine: Engine, reference: OnnxRuntimeEngine, make_inputs: MakeInputs) -> dict[str, float]:
    """Largest difference of each output over several batches; AssetError beyond the tolerance of the precision."""
    precision = reference.card.precision
    worst = dict.fromkeys(reference.signature.outputs, 0.0)
    for seed, count in enumerate(_CHECKED_BATCHES):
        given = make_inputs(reference.signature, count, seed)
        expected = reference(given)
        for name, error in differences(expected, engine(given)).items():
            limit = allowed(name, expected, precision)
            if not error <= limit:
                cure = "build it with --precision fp32" if precision == FLOAT16 else "use engine 'auto'"
                raise AssetError(
                    f"the {precision} plan of '{reference.signature.network}' differs from ONNX Runtime by {error:.1e}"
                    f" in {name} for {count} people (allowed {limit:.1e}); {cure}"
                )
            worst[name] = max(worst[name], error)
    return worst
