"""`hmr doctor`: checks the installation; every line that says `missing` ends with the cure."""

from __future__ import annotations

import contextlib
import importlib.util
import platform
from importlib import metadata

from hmr_ros.body.loading import load_body
from hmr_ros.config import HmrConfig
from hmr_ros.errors import AssetError, HmrError
from hmr_ros.factory import choose_engine, engine_request
from hmr_ros.io.model_store import FETCH, MODELS, asset, cache_folder, find_model
from hmr_ros.methods.registry import NETWORKS
from hmr_ros.ros.doctor import ros_checks
from hmr_ros.runtime.gpu import cuda_package, open_gpu
from hmr_ros.runtime.onnxruntime import CUDA, available_providers
from hmr_ros.runtime.selection import tensorrt_plan

Check = tuple[str, bool, str, str]  # name, is it there, detail, cure

_PACKAGES = {  # distribution -> (module, what it is for, cure)
    "ai-edge-litert": ("ai_edge_litert", "detector and landmarks", "pip install ai-edge-litert"),
    "torch": ("torch", "--quality, multiview, training, engine: torch", "pip install torch"),
    "safetensors": ("safetensors", "--quality, multiview, training, engine: torch", "pip install safetensors"),
    "onnx": ("onnx", "hmr export, hmr build-engine", "pip install onnx"),
    "tensorrt": ("tensorrt", "engine: tensorrt (NVIDIA GPU)", "pip install 'tensorrt>=10,<12'"),
    "cuda-core": ("cuda.core", "engine: tensorrt, CUDA graphs", "pip install 'cuda-core[cu13]', or cu12 as the driver"),
    "pycuda": ("pycuda", "engine: tensorrt where cuda-core is not", "pip install pycuda, which takes nvcc"),
    "av": ("av", "overlay.mp4 that browsers play", "pip install av"),
    "pyzmq": ("zmq", "stream.sonic, hmr stream --sonic", "pip install pyzmq"),
    "python-osc": ("pythonosc", "stream.vmc, hmr stream --vmc", "pip install python-osc"),
    "viser": ("viser", "hmr view", "pip install viser"),
    "ray": ("ray", "hmr batch on a cluster; without it, processes", "pip install 'ray[default]'"),
    "pygltflib": ("pygltflib", "hmr convert --to glb", "pip install pygltflib"),
    "pybvh": ("pybvh", "hmr convert --to bvh", "pip install pybvh"),
    "rosbags": ("rosbags", "hmr bag", "pip install rosbags"),
    "smplx": ("smplx", "development only: the body model compared with it; no commercial use", "pip install smplx"),
}


_NEEDED = ("ai-edge-litert",)  # where no engine runs, its line names the package


def doctor() -> int:
    """Print one line a check; 0 if everything that the defaults need is there, else 1."""
    needed = [*_models(required=True), *_body(), *_weights(), *_engines(), *(_package(name) for name in _NEEDED)]
    optional = [
        *_models(required=False),
        *ros_checks(),
        *(_package(name) for name in _PACKAGES if name not in _NEEDED),
        _onnxruntime(),
        _cuda(),
        _cuda_package(),
        _tensorrt(),
    ]
    print(f"hmr_ros {metadata_version()} on Python {platform.python_version()}, {platform.machine()}")
    for title, checks in (("needed", needed), ("optional", optional)):
        print(f"\n{title}:")
        for name, there, detail, cure in checks:
            print(f"  {'ok     ' if there else 'missing'} {name:<28} {detail}" + ("" if there else f" -> {cure}"))
    return 0 if all(there for _, there, _, _ in needed) else 1


def metadata_version() -> str:
    """Version of the installed package, or of this source tree."""
    from hmr_ros import __version__

    return __version__


def _models(required: bool) -> list[Check]:
    checks = []
    for model in MODELS.values():
        if model.required == required:
            path = find_model(model)
            where = str(path) if path else f"missing or damaged in {cache_folder()}"
            checks.append((model.name, path is not None, f"{model.purpose}: {where}", f"run `{FETCH}`"))
    return checks


def _body() -> list[Check]:
    try:
        body = load_body(None)
    except HmrError as error:
        return [("open body", False, str(error), "install the package again")]
    return [("open body", True, f"{len(body.v_template)} vertices", "")]


def _weights() -> list[Check]:
    names = (
        "mesh2d.safetensors",
        "m2p.safetensors",
        "open_coarse.npz",
        "prior.safetensors",
        "image.safetensors",
        "limbs.safetensors",
        "calibrate.safetensors",
    )
    return [
        (name, asset(name).is_file(), "recover: posture and refinement", "install the package again") for name in names
    ]


def _engines() -> list[Check]:
    """Which engines the default takes, and why."""
    checks = []
    for network in NETWORKS:
        name = f"engine of '{network}'"
        try:
            chosen = choose_engine(HmrConfig(), network)
        except HmrError as error:
            checks.append((name, False, "none", str(error)))
            continue
        checks.append((name, True, f"{chosen.engine.kind} on {chosen.engine.device}; {chosen.reason}", ""))
    return checks


def _package(name: str) -> Check:
    module, purpose, cure = _PACKAGES[name]
    if not _there(module):
        return (name, False, purpose, cure)
    return (name, True, f"{_version(name, module)}, {purpose}", "")


def _version(name: str, module: str) -> str:
    """Of a package that may have come by another name, as tensorrt-cu13 or onnxruntime-gpu do, or without pip."""
    others = metadata.packages_distributions().get(module.split(".", maxsplit=1)[0], [])
    for distribution in (name, *others):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return f"{metadata.version(distribution)}{'' if distribution == name else f' ({distribution})'}"
    return "version unknown"


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a finder may refuse by raising
        return False


def _onnxruntime() -> Check:
    name, purpose = "onnxruntime", "engine: onnxruntime, which auto prefers"
    try:
        providers = available_providers()
    except AssetError:
        return (name, False, purpose, "pip install onnxruntime, or onnxruntime-gpu for its CUDA provider")
    said = ", ".join(p.removesuffix("ExecutionProvider") for p in providers)
    cuda = "CUDA is taken where it agrees and is faster" if CUDA in providers else "no CUDA: networks run on the CPU"
    return (name, True, f"{_version(name, name)}, {purpose}; has {said} ({cuda})", "")


def _tensorrt() -> Check:
    """What `--engine tensorrt` would run; it is never taken by itself."""
    name, when = "engine: tensorrt", "only with --engine tensorrt, never by auto"
    try:
        gpu = open_gpu()
    except HmrError as error:
        return (name, False, when, str(error))
    plans, cures = [], []
    for network in NETWORKS:
        try:
            tensorrt_plan(engine_request(HmrConfig(), network), gpu)
        except HmrError as error:
            cures.append(str(error))
        else:
            plans.append(network)
    detail = f"TensorRT {gpu.tensorrt} on {gpu.name}, plans of {', '.join(plans) or 'no network'}; {when}"
    return (name, bool(plans), detail, cures[0] if cures else "")


def _cuda_package() -> Check:
    """Through which of cuda-core and PyCUDA the TensorRT engine would use the GPU, and why."""
    name = "CUDA for engine: tensorrt"
    try:
        way, why = cuda_package()
    except HmrError as error:
        return (name, False, "neither cuda-core nor PyCUDA", str(error))
    return (name, True, f"{way.package}: {why}", "")


def _cuda() -> Check:
    cure = "install an NVIDIA driver and a CUDA build of torch; the CPU path needs neither"
    if not _there("torch"):
        return ("CUDA device", False, "torch is not installed", cure)
    import torch

    if not torch.cuda.is_available():
        return ("CUDA device", False, "no GPU visible to torch", cure)
    return ("CUDA device", True, torch.cuda.get_device_name(0), "")
