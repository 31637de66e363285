"""What is called of TensorRT, cuda-core, PyCUDA and ONNX Runtime exists there, as far as types can say (typings/)."""

import ast
import importlib.metadata
import inspect
import re
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
from fake_nvidia import FakeNvidia

from hmr_ros.errors import AssetError
from hmr_ros.runtime.cuda_core import CudaCore
from hmr_ros.runtime.gpu import cuda_package, open_gpu

ROOT = Path(__file__).parents[2]
TYPINGS = ROOT / "typings"
RUNTIME = ROOT / "hmr_ros/runtime"
CALLERS = ("gpu", "cuda", "cuda_core", "pycuda", "tensorrt", "tensorrt_run", "tensorrt_build", "onnxruntime",
           "faster_on_gpu")  # fmt: skip
CUDA_CORE = ("_device.pyi", "_stream.pyi", "_memory/_buffer.pyi", "_memory/_legacy.py", "graph/_graph_builder.pyi",
             "_utils/cuda_utils.pyi")  # fmt: skip
CONFIG = """
[mypy]
check_untyped_defs = True
warn_unused_ignores = True
ignore_missing_imports = True
follow_imports = skip
[mypy-tensorrt.*,cuda.*,pycuda.*,onnxruntime.*]
follow_imports = normal
"""
# file, what to put in place of what, what mypy must say of it, by which version
SLIPS = [
    ("tensorrt_run", ".execute_async_v3(", ".execute_async_v2(", 'has no attribute "execute_async_v2"', "both"),
    ("tensorrt_run", ".num_io_tensors", ".num_bindings", 'has no attribute "num_bindings"', "both"),
    ("tensorrt_run", "if context is None:", "if not context:\n            pass\n        if False:", "has type", "both"),
    ("cuda_core", '.begin_building("thread_local")', ".begin_capture()", 'no attribute "begin_capture"', "both"),
    ("cuda_core", "device.allocate(size, stream=self._stream)", "device.allocate(size)", "Missing named arg", "both"),
    ("pycuda", ".synchronize()", ".sync()", 'has no attribute "sync"', "both"),
    ("pycuda", "pagelocked_empty(shape, np.float32)", "pagelocked_empty(shape)", "Missing positional", "both"),
    ("pycuda", "host.free", "host.release", 'has no attribute "release"', "both"),
    ("pycuda", "memcpy_htod_async(self.handle, self.rows,", "memcpy_htod_async(self.rows, self.handle,",
     "incompatible type", "both"),
    ("pycuda", "import Error", "import CudaError", 'has no attribute "CudaError"', "both"),
    ("tensorrt_run", "memory.work.handle, memory.work.size", "memory.work.handle", "Missing positional", "both"),
    ("tensorrt", "if engine is None:", "if False:", "Incompatible return value", "both"),
    ("tensorrt_build", "if plan is None:", "if False:", "No overload|incompatible type", "both"),
    ("tensorrt_build", "Dims([people, *size])", "(people, *size)", "incompatible type", "both"),
    ("tensorrt_build", "BuilderFlag.TF32", "BuilderFlag.FP16", 'has no attribute "FP16"', "11"),
    ("tensorrt_build", ".STRONGLY_TYPED", ".EXPLICIT_BATCH", 'has no attribute "EXPLICIT_BATCH"', "11"),
    ("onnxruntime", ".get_providers()[0]", ".providers()[0]", 'has no attribute "providers"', "both"),
]  # fmt: skip


@pytest.fixture(scope="module", params=["10", "11"])
def checked(request, tmp_path_factory):
    """Version, and what mypy says of the files as they are and of the slips, in one run."""
    folder = tmp_path_factory.mktemp("types")
    for number, (name, right, wrong, _, _) in enumerate(SLIPS):
        text = (RUNTIME / f"{name}.py").read_text()
        assert right in text, right
        (folder / f"slip_{number}.py").write_text(text.replace(right, wrong, 1))
    config = folder / "mypy.ini"
    lines = (TYPINGS / "tensorrt/__init__.pyi").read_text().splitlines(keepends=True)
    (folder / "lists/tensorrt").mkdir(parents=True)
    stub = folder / "lists/tensorrt/__init__.pyi"
    stub.write_text("".join(line for line in lines if request.param == "10" or not line.endswith("# not in 11\n")))
    config.write_text(CONFIG.replace("[mypy]", f"[mypy]\nmypy_path = {folder / 'lists'}:{TYPINGS}", 1))
    files = [*(RUNTIME / f"{name}.py" for name in CALLERS), *sorted(folder.glob("slip_*.py"))]
    command = [sys.executable, "-m", "mypy", "--config-file", config, "--cache-dir", "/dev/null", *files]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, cwd=folder)
    assert "error:" in done.stdout and not done.stderr, done.stdout + done.stderr
    return request.param, [line for line in done.stdout.splitlines() if "error:" in line]


def test_every_call_exists_in_both_versions(checked):
    assert not [line for line in checked[1] if not line.startswith("slip_")]


def test_slips_are_found(checked):
    version, said = checked
    for number, (_, _, wrong, expected, where) in enumerate(SLIPS):
        lines = [line for line in said if line.startswith(f"slip_{number}.py")]
        found = any(part in line for line in lines for part in expected.split("|"))
        assert found == (where in ("both", version)), (wrong, lines)


def listed(path):
    """Class -> function -> names of its parameters, of a stub file; functions of the module under ""."""
    found = {}

    def read(body, name):
        for node in body:
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, {})
                read(node.body, node.name)
            elif isinstance(node, ast.FunctionDef):
                arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                found.setdefault(name, {}).setdefault(node.name, []).append(arguments)

    read(ast.parse(path.read_text()).body, "")
    return found


@pytest.mark.parametrize("file", ["__init__", "graph", "_utils/cuda_utils"])
def test_our_list_of_cuda_core_is_what_it_brings(file):
    try:  # where its files are, whatever module another test left behind
        folder = Path(str(importlib.metadata.distribution("cuda-core").locate_file("cuda/core")))
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("cuda-core is not installed")
    theirs = {}
    for path in CUDA_CORE:
        theirs |= {name: content for name, content in listed(folder / "cu13" / path).items() if name}
    ours = listed(TYPINGS / "cuda/core" / f"{file}.pyi")
    assert ours
    for name, functions in ours.items():
        assert name in theirs
        for function, (arguments, *_) in functions.items():
            assert arguments in theirs[name][function], f"{name}.{function}"


def test_our_list_of_pycuda_is_what_it_has():
    driver = pytest.importorskip("pycuda.driver", exc_type=ImportError)  # also where there is no driver
    for name, functions in listed(TYPINGS / "pycuda/driver.pyi").items():
        kind = getattr(driver, name) if name else driver
        for function, (arguments, *_) in functions.items():
            there = getattr(kind, function)
            if isinstance(there, property) or function.startswith("__"):
                continue
            said = re.findall(r"\(\w+\)(\w+)", there.__doc__ or "")  # of Boost.Python: (type)name
            named = [a for a in said if not re.fullmatch(r"arg\d+", a)]
            assert not named or [a for a in named if a != "self"] == [a for a in arguments if a != "self"], function


def test_only_the_two_ways_know_their_packages():
    """So that another one is a file and a line in runtime/gpu.py."""
    knowing = {
        (package, path.name)
        for path in (ROOT / "hmr_ros").rglob("*.py") for package in ("cuda", "pycuda")
        if re.search(rf"^\s*(from|import) {package}[. ]", path.read_text(), re.M)
    }  # fmt: skip
    assert knowing == {("cuda", "cuda_core.py"), ("pycuda", "pycuda.py")}


def test_our_list_of_onnxruntime_is_what_it_has():
    for name, functions in listed(TYPINGS / "onnxruntime/__init__.pyi").items():
        kind = getattr(onnxruntime, name) if name else onnxruntime
        for function, (arguments, *_) in functions.items():
            there = getattr(kind, function)
            if inspect.isfunction(there):  # others are of C++ and have no signature
                assert [*inspect.signature(there).parameters][: len(arguments)] == arguments
    tree = ast.parse((TYPINGS / "onnxruntime/__init__.pyi").read_text())
    for kind in [node for node in tree.body if isinstance(node, ast.ClassDef)]:
        for field in [node for node in kind.body if isinstance(node, ast.AnnAssign)]:
            assert hasattr(getattr(onnxruntime, kind.name), field.target.id)


@pytest.mark.parametrize("version", ["10.13.0.35", "11.4.0.106"])
def test_the_fake_has_what_the_lists_have(version):
    """So that it cannot accept what they refuse."""
    modules = FakeNvidia(version).modules()
    pairs = [("tensorrt/__init__", "tensorrt"), ("cuda/core/__init__", "cuda.core"),
             ("cuda/core/graph", "cuda.core.graph"), ("pycuda/driver", "pycuda.driver")]  # fmt: skip
    for file, module in pairs:
        for name, functions in listed(TYPINGS / f"{file}.pyi").items():
            kind = (getattr(modules[module], name, None) if name != "Severity" else object) if name else modules[module]
            assert kind is not None, name
            for function, (arguments, *_) in functions.items():
                if function.startswith("__") or (name and "self" not in arguments):
                    continue
                there = inspect.getattr_static(kind, function, None)
                if inspect.isfunction(there):
                    assert [*inspect.signature(there).parameters] == arguments, f"{name}.{function}"
                elif name != "IHostMemory":
                    assert hasattr(kind, function) or function in ("handle", "size"), f"{name}.{function}"


def test_the_real_cuda_core_says_that_there_is_no_gpu(monkeypatch):
    """NVIDIA's package itself, without a driver: what it raises is what we expect."""
    device = pytest.importorskip("cuda.core").Device
    try:
        device(0).set_current()
    except Exception:  # whatever it is
        monkeypatch.setitem(sys.modules, "tensorrt", FakeNvidia().modules()["tensorrt"])
        assert cuda_package()[0] is CudaCore
        with pytest.raises(AssetError, match="finds no usable NVIDIA GPU"):
            open_gpu()
    else:
        pytest.skip("there is a GPU")
