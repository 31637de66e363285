"""ROS tests need rclpy and the built messages, and a domain of their own."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for live_robot
os.environ.setdefault("ROS_DOMAIN_ID", str(101 + os.getpid() % 100))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
MISSING = importlib.util.find_spec("rclpy") is None or importlib.util.find_spec("hmr_ros.msg") is None

if MISSING:
    collect_ignore_glob = ["test_*.py"]


ROOT = Path(__file__).parents[2]


def pytest_configure(config):
    if MISSING:
        config.issue_config_time_warning(pytest.PytestWarning("no ROS 2 here: tests/ros is left out"), 2)


@pytest.fixture
def robot():
    """Starts the node with ROS arguments and a client of it, see live_robot.py."""
    from live_robot import Robot

    made = []

    def start(*arguments, **options):
        made.append(Robot(*arguments, **options))
        return made[-1]

    yield start
    for r in made:
        r.close()


@pytest.fixture(scope="session")
def with_messages(tmp_path_factory):
    """Variables with which a process finds hri_msgs, people_msgs and vision_msgs; these are built here."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    prefix, build = tmp_path_factory.mktemp("prefix"), tmp_path_factory.mktemp("build")
    venv = Path(sys.prefix)
    env = {
        **os.environ,
        "CMAKE_PREFIX_PATH": str(venv),
        "AMENT_PREFIX_PATH": str(venv),
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    for name in ("hri_msgs", "people_msgs", "vision_msgs"):
        configure = ["cmake", "-S", ROOT / "interfaces" / name, "-B", build / name, f"-DCMAKE_INSTALL_PREFIX={prefix}"]
        configure += ["-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={sys.executable}"]
        for command in (
            configure,
            ["cmake", "--build", build / name, "--parallel", "2"],
            ["cmake", "--install", build / name],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (packages,) = prefix.glob("lib/python*/site-packages")
    libraries = os.pathsep.join([str(prefix / "lib"), str(venv / "lib"), os.environ.get("LD_LIBRARY_PATH", "")])
    found = os.pathsep.join([str(packages), *filter(None, [os.environ.get("PYTHONPATH", str(ROOT))])])
    # a domain of its own: nodes of other tests are called hmr too
    domain = str(1 + os.getpid() % 100)
    return {**env, "PYTHONPATH": found, "LD_LIBRARY_PATH": libraries, "ROS_DOMAIN_ID": domain}
