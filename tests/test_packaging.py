"""What installs the package: dependencies that exist, a command that runs, a build that goes on without a network."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hmr_ros import __version__
from hmr_ros.io.model_store import DETECTOR, FULL, find_model

ROOT = Path(__file__).parents[1]
NO_ROSDEP_KEY = {"ai-edge-litert"}
KEYS = {"PyYAML": "python3-yaml", "opencv-python-headless": "python3-opencv"}
PIP_KEYS = {"filterpy", "onnxruntime", "rosbags"}


def requirements():
    """Names in install_requires of setup.py."""
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text())):
        if isinstance(node, ast.keyword) and node.arg == "install_requires":
            return [re.match(r"[\w.-]+", text).group() for text in ast.literal_eval(node.value)]
    raise AssertionError("setup.py has no install_requires")


def extras():
    """extras_require of setup.py: names of packages."""
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text())):
        if isinstance(node, ast.keyword) and node.arg == "extras_require":
            return {k: {re.match(r"[\w.-]+", t).group() for t in v} for k, v in ast.literal_eval(node.value).items()}
    raise AssertionError("setup.py has no extras_require")


def test_tensorrt_comes_through_pycuda_or_without_a_compiler_through_cuda_core():
    common = {"onnx", "tensorrt"}
    assert extras()["tensorrt"] == {*common, "pycuda"}
    assert extras()["cuda-graphs"] == {*common, "cuda-bindings", "cuda-core"}
    text = (ROOT / "docs/usage.md").read_text(encoding="utf-8")
    assert all(f'".[{name}]"' in text for name in ("tensorrt", "cuda-graphs"))


def test_package_xml_is_what_release_tools_take():
    package = pytest.importorskip("catkin_pkg.package").parse_package(str(ROOT / "package.xml"))
    warnings = []
    package.validate(warnings=warnings)
    assert not warnings and package.version == __version__
    # reserved names of RFC 2606 that no mail can have as its last part
    assert not [m.email for m in package.maintainers if m.email.endswith((".invalid", ".example", ".test"))]
    assert {d.name for d in package.test_depends} >= {"ament_cmake_pytest", "python3-pytest", "python3-hypothesis"}


def test_what_pip_installs_rosdep_installs_too():
    text = (ROOT / "package.xml").read_text()
    for name in requirements():
        key = KEYS.get(name, f"python3-{name}-pip" if name in PIP_KEYS else f"python3-{name}")
        assert f"<exec_depend>{key}</exec_depend>" in text or (name in NO_ROSDEP_KEY and f"pip install {name}" in text)


def test_nothing_that_is_installed_needs_smplx():
    assert "smplx" not in requirements()
    assert not re.search(r"_depend>[^<]*smplx", (ROOT / "package.xml").read_text())


def test_the_command_is_installed_for_shells_and_for_ros2_run():
    prefixes = [Path(p) for p in [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix] if p]
    prefix = next((p for p in prefixes if (p / "share/hmr_ros/package.xml").is_file()), None)
    if prefix is None:
        pytest.skip("the package is not installed by CMake")
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in (prefix / "bin/hmr", prefix / "lib/hmr_ros/hmr"):
        done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False, env=env)
        assert done.stdout.strip() == f"hmr_ros {__version__}", done.stderr


@pytest.fixture
def install_step(tmp_path):
    """Runs what the CMake install step runs for the models; the prefix and what it said."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    known = {
        "PROJECT_NAME": "hmr_ros", "Python3_EXECUTABLE": sys.executable, "CMAKE_CURRENT_SOURCE_DIR": ROOT,
        "CMAKE_INSTALL_PREFIX": tmp_path / "prefix",
    }  # fmt: skip
    script = [f'set({name} "{value}")' for name, value in known.items()]
    script += [f'configure_file("{ROOT}/cmake/fetch_models.cmake.in" "{tmp_path}/step.cmake" @ONLY)']
    (tmp_path / "run.cmake").write_text("\n".join([*script, f'include("{tmp_path}/step.cmake")']))

    def run():
        done = subprocess.run(["cmake", "-P", tmp_path / "run.cmake"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return tmp_path / "prefix/share/hmr_ros/models", done.stderr

    return run


def test_the_build_puts_models_into_the_prefix(install_step):
    models, _ = install_step()
    assert {DETECTOR.name, FULL.name} <= {p.name for p in models.iterdir()}
    assert (models / FULL.name).read_bytes() == find_model(FULL).read_bytes()


def test_the_build_goes_on_without_a_network(install_step, tmp_path, monkeypatch):
    for name, value in {
        "HMR_CACHE": str(tmp_path / "cache"), "AMENT_PREFIX_PATH": "", "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "nothing"), "NPM_CONFIG_REGISTRY": "http://127.0.0.1:9",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    models, said = install_step()
    (line,) = said.strip().splitlines()
    assert line.startswith("hmr_ros: warning: models are missing") and line.endswith("run: hmr models fetch")
    assert not models.exists()
