"""`hmr train all`: every stage of a YAML file in order, each with the options of its own command; resumes."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hmr_ros.errors import ConfigError, HmrError, InputError
from hmr_ros.io.results import made_folder
from hmr_ros.runtime.model_card import file_hash
from hmr_ros.yaml_files import load_yaml

Job = Callable[[], int]
Parse = Callable[[list[str]], Job]  # words of a command line -> what they ask for; ConfigError

_NAMED_SETS = ("pairs", "crops", "features", "val", "calibration")  # options that name sets
_SETS = ("pairs", "crops", "features")  # sections of named sets, each made by one command
_NETWORKS = ("mesh2d", "m2p", "hmdiff", "prior", "diffhmr", "image", "limbs", "calibrate")
_NO_GRAPH = ("calibrate",)  # run as they are
_SECTIONS = ("out", "motion", "common", *_SETS, *_NETWORKS, "export")
_COMMON = ("workers", "threads", "device")  # how fast, not what
# networks whose weights a stage takes; the shipped ones where the file has no such section
_TAKES: dict[str, tuple[str, ...]] = {
    "m2p": ("mesh2d",), "hmdiff": ("mesh2d",), "prior": ("mesh2d", "m2p"), "diffhmr": ("mesh2d", "m2p"),
    "calibrate": ("mesh2d", "m2p"),
}  # fmt: skip
_ACCEPTS = dict.fromkeys(_SETS, ("workers",)) | dict.fromkeys(_NETWORKS, ("threads", "device"))
_ACCEPTS["calibrate"] = ("threads",)
_RECORD = "stage.json"


@dataclass(frozen=True)
class Stage:
    """One command of the run."""

    name: str  # as in the file, "pairs: stills"
    out: Path
    words: list[str]  # of its command line
    options: dict[str, Any]  # as in the file, without those that only change the speed
    inputs: dict[str, Path] = field(default_factory=dict)  # files and folders that its result follows from
    result: Path | None = None  # what is there when it is finished; None: the command itself keeps what is


def train_all(config: Path, parse: Parse) -> int:
    """Run the stages of `config`. Finished ones are kept, a stopped one goes on; ConfigError where the file is wrong,
    before anything is run; InputError where a stage's folder was made with other options or from other inputs."""
    stages = plan(config)
    jobs = []
    for stage in stages:
        try:
            jobs.append(parse(stage.words))
        except ConfigError as error:
            raise ConfigError(f"{config}, {stage.name}: {error}") from error
    for number, (stage, job) in enumerate(zip(stages, jobs, strict=True), 1):
        fresh = _recorded(stage)
        if not fresh and stage.result is not None and stage.result.exists():
            print(f"[{number}/{len(stages)}] {stage.name}: finished before, kept in {stage.out}")
            continue
        print(f"[{number}/{len(stages)}] {stage.name}: hmr {shlex.join(stage.words)}", flush=True)
        try:
            job()
        except HmrError as error:
            raise type(error)(f"{stage.name}: {error}") from error
        if stage.name == "export":
            for path in stage.inputs.values():
                shutil.copyfile(path, stage.out / path.name)
            print(f"weights and graphs in {stage.out}; copied into hmr_ros/assets they are what hmr runs")
    return 0


def plan(config: Path) -> list[Stage]:
    """The stages of a YAML file in the order in which they need each other; ConfigError."""
    tree = _read(config)
    folder = Path(str(tree.get("out", "training")))
    motions = {name: Path(str(path)) for name, path in _mapping(config, tree, "motion").items()}
    for path in motions.values():
        if not path.is_file():
            raise ConfigError(
                f"{config}, motion: there is no file {path}; paths start from the folder hmr is called in"
            )
    common = _mapping(config, tree, "common")
    _choose(config, "common", common, _COMMON)
    sets = {name: kind for kind in _SETS for name in _mapping(config, tree, kind)}
    taken = sorted(set(sets) & {*_NETWORKS, "models"})
    if taken:
        raise ConfigError(f"{config}: '{taken[0]}' is the name of a stage; call the set something else")
    stages = []
    for name, kind in sets.items():
        options = dict(_mapping(config, tree[kind], name))
        stages.append(_stage(config, kind, f"{kind}: {name}", folder / name, options, common, motions, {}))
    weights: dict[str, Path] = {}
    places = {name: folder / name for name in sets}
    for name in (n for n in _NETWORKS if n in tree):
        options = dict(_mapping(config, tree, name))
        for front in _TAKES.get(name, ()):
            if front in weights:
                options.setdefault(front, str(weights[front]))
        stages.append(_stage(config, name, name, folder / name, options, common, motions, places))
        weights[name] = folder / name / f"{name}.safetensors"
    if "export" in tree:
        stages.append(_export(config, tree, folder / "models", weights))
    return stages


def _stage(
    config: Path, command: str, name: str, out: Path, options: dict[str, Any], common: Mapping[str, Any],
    motions: Mapping[str, Path], sets: Mapping[str, Path],
) -> Stage:  # fmt: skip
    """Options of the file as words of a command line: names of motions and sets become paths, paths become inputs."""
    result = out / f"{command}.safetensors" if command in _NETWORKS else None
    words, kept = ["train", command, "--out", str(out)], {}
    inputs: dict[str, Path] = {}
    given = {key: common[key] for key in _ACCEPTS[command] if key in common} | options
    for key, value in given.items():
        values = value if isinstance(value, list) else [value]
        if key == "motion":
            values = [_named(config, name, key, v, motions) for v in values]
        elif key in _NAMED_SETS:
            values = [_named(config, name, key, v, sets) for v in values]
        if key in ("motion", *_NAMED_SETS, "init", *_NETWORKS):
            inputs |= {f"{key} {k}": Path(str(v)) for k, v in enumerate(values)}
        elif key not in _COMMON:
            kept[key] = value
        words += _words(key, values)
    return Stage(name, out, words, kept, inputs, result)


def _export(config: Path, tree: Mapping[str, Any], out: Path, weights: Mapping[str, Path]) -> Stage:
    """The last stage: graphs of the trained networks, which lie beside them."""
    options = dict(_mapping(config, tree, "export"))
    networks = options.pop("networks", [])
    words = ["export", *map(str, networks if isinstance(networks, list) else [networks]), "--out", str(out)]
    for key, value in options.items():
        words += _words(key, [value])
    for name, path in weights.items():
        if name not in _NO_GRAPH:
            words += [f"--{name}", str(path)]
    return Stage("export", out, words, {"networks": networks, **options}, dict(weights))


def _words(key: str, values: list[Any]) -> list[str]:
    """An option of a command line; an empty list of values is left to its parser to refuse."""
    option = f"--{key.replace('_', '-')}"
    if len(values) == 1 and isinstance(values[0], bool):  # not a comparison: 1 equals True
        return [option] if values[0] else []
    return [option, *map(str, values)] if len(values) != 1 else [f"{option}={values[0]}"]


def _named(config: Path, stage: str, key: str, value: Any, known: Mapping[str, Path]) -> Path:
    """A motion or set of this file, or a path that is there."""
    if value in known:
        return known[value]
    if Path(str(value)).exists():
        return Path(str(value))
    raise ConfigError(
        f"{config}, {stage}: {key} '{value}' is neither named in this file ({', '.join(known) or 'nothing is'}) nor a"
        " path that exists"
    )


def _recorded(stage: Stage) -> bool:
    """Note in the stage's folder what it is made from; whether it is new. InputError if it was made otherwise."""
    now = {"options": stage.options, "inputs": {name: _digest(path) for name, path in stage.inputs.items()}}
    now = json.loads(json.dumps(now, default=str))
    path = stage.out / _RECORD
    if not path.exists():
        if stage.out.exists() and any(stage.out.iterdir()):
            raise InputError(f"{stage.name}: {stage.out} was not made by this command; remove it or choose another out")
        made_folder(stage.out)
        path.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
        return True
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{stage.name}: cannot read {path}; remove {stage.out}, it is made anew then") from error
    for part in ("options", "inputs"):
        changed = sorted(k for k in {*before[part], *now[part]} if before[part].get(k) != now[part].get(k))
        if changed:
            raise InputError(
                f"{stage.name}: {stage.out} was made with other {part} ({', '.join(changed)}); remove it, it is made"
                " anew then, or choose another out"
            )
    return False


def _digest(path: Path) -> str:
    """Of a file its contents; of a set what it was made from, or else the names of its files."""
    if path.is_dir():
        record = path / _RECORD
        if not record.exists():
            return hashlib.sha256("\n".join(sorted(f.name for f in path.iterdir())).encode()).hexdigest()
        path = record
    if not path.is_file():
        raise InputError(f"there is no file {path}; give one that exists")
    return file_hash(path)


def _read(config: Path) -> dict[str, Any]:
    try:
        tree = load_yaml(config)
    except OSError as error:
        raise ConfigError(f"cannot read {config}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{config} is no YAML file: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{config} has no stages; see config/train.yaml")
    _choose(config, "", tree, _SECTIONS)
    return tree


def _choose(config: Path, section: str, tree: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = [str(key) for key in tree if key not in known]
    if unknown:
        place = f"{config}, {section}" if section else str(config)
        raise ConfigError(f"{place}: '{unknown[0]}' is unknown; choose from {', '.join(known)}")


def _mapping(config: Path, tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = tree.get(name) or {}
    if not isinstance(value, dict):
        raise ConfigError(f"{config}: '{name}' must hold options, one a line, like 'count: 1000'")
    return value
