"""The rules of the package layout: imports go one way, only ros/ knows ROS, files and functions stay small."""

import ast
import graphlib
from pathlib import Path

import hmr_ros.types

PACKAGE = Path(hmr_ros.types.__file__).parent
# what may be imported from: everything to the left; methods/registry.py holds names alone and stands with types
ORDER = [
    "types", "errors", "methods.registry", "config_groups", "config", "geometry", "io", "body", "diffusion",
    "networks", "runtime", "evidence", "perception", "methods", "fusion", "pipeline", "factory", "api", "view",
    "synth", "evaluate", "train", "exchange", "commands", "ros", "cli", "__main__",
]  # fmt: skip
# wanted although it points down: doctor asks ros/doctor.py, which imports rclpy only inside its checks
ALLOWED = {("commands", "ros")}
ROS = (
    "rclpy",
    "sensor_msgs",
    "std_msgs",
    "geometry_msgs",
    "visualization_msgs",
    "diagnostic_msgs",
    "tf2_msgs",
    "std_srvs",
    "lifecycle_msgs",
    "hri_msgs",
    "people_msgs",
)


def sources():
    return [p for p in PACKAGE.rglob("*.py") if "msg" not in p.relative_to(PACKAGE).parts]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names)


def room(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "methods.registry" if parts == ("methods", "registry") else parts[0]


def room_of(module):
    parts = module.split(".")[1:]
    return "methods.registry" if parts == ["methods", "registry"] else parts[0]


def test_arrows_point_up_the_list():
    wrong = []
    for path in sources():
        here = room(path)
        if here == "__init__":
            continue
        for module in imports(path):
            parts = module.split(".")
            if parts[0] == "hmr_ros" and len(parts) > 1 and parts[1] not in ("msg", here):
                there = room_of(module)
                if ORDER.index(there) > ORDER.index(here) and (here, there) not in ALLOWED:
                    wrong.append(f"{path.relative_to(PACKAGE)} imports {module}")
    assert not wrong


def module(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_circles():
    """Not between files either, imports inside functions included; a package's door may load what is behind it."""
    modules = {module(p): p for p in sources() if p.name != "__init__.py"}
    graph = {name: set(imports(p)) & modules.keys() for name, p in modules.items()}
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names the modules


def test_only_ros_knows_ros():
    for path in sources():
        if room(path) != "ros":
            assert not [m for m in imports(path) if m.split(".")[0] in ROS or m.startswith("hmr_ros.msg")], path


def test_files_and_functions_stay_small():
    for path in sources():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 65, f"{path}: {node.name}"
