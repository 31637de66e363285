"""The surfaces that clothes and hair are cut from: the body's own, and a skirt and long hair that fit the open body."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_matrix, diags

from hmr_ros.body.coarse import coarse_faces, coarse_of
from hmr_ros.body.joints import SMPL
from hmr_ros.body.model import NUM_JOINTS, BodyModel, forward_kinematics, pose_matrices
from hmr_ros.body.open_body import NAME
from hmr_ros.io.model_store import asset
from hmr_ros.io.results import load_arrays
from hmr_ros.types import Floats, Ints

_HEIGHT_M = 1.669  # of the open body, in whose measures everything is cut
_SMOOTHINGS, _SMOOTH, _BACK = 16, 0.6, 0.63  # that make a shoe of a foot and keep its size (Taubin 1995)


@dataclass(frozen=True)
class Extra:
    """A surface beside the body's that is skinned as the body is."""

    vertices: Floats  # [N,3] m, T-pose
    shapedirs: Floats  # [N,3,10]
    weights: Floats  # [N,24]
    faces: Ints  # [F,3] into its own vertices


@dataclass(frozen=True)
class Wardrobe:
    """All surfaces of one body; their vertices stand one after the other: body, long hair, skirt."""

    body: BodyModel
    rest: Floats  # [N,3] places in the T-pose, origin at the pelvis, in the open body's measures
    carrier: Ints  # [N] the SMPL joint that moves a vertex most
    faces: dict[str, Ints]  # "body", and "hair" and "skirt" where they fit: [F,3] into all vertices
    all_faces: Ints
    extras: dict[str, Extra]
    feet: Ints  # [M] vertices below the ankles
    shoe: csr_matrix  # [M,M] mean of the neighbours
    caster: Ints  # [C] vertices of the coarse body that casts shadows
    caster_faces: Ints  # [G,3] into them

    def posed(self, vertices: Floats, pose: Floats, betas: Floats, transl: Floats) -> Floats:
        """All vertices [N,3] m for a body at `vertices` [V,3] m with pose [72] rad, betas [10] and transl [3] m."""
        if not self.extras:
            return vertices
        rest = self.body.rest_joints(betas)
        world, posed = forward_kinematics(pose_matrices(pose[:3], pose[3:]), rest)
        offsets = posed - np.einsum("jab,jb->ja", world, rest)
        motion = np.concatenate([world.reshape(NUM_JOINTS, 9), offsets], axis=1)
        parts = [vertices]
        for extra in self.extras.values():
            skin = extra.weights @ motion
            shaped = extra.vertices + extra.shapedirs @ betas
            parts.append(np.einsum("vab,vb->va", skin[:, :9].reshape(-1, 3, 3), shaped) + skin[:, 9:] + transl)
        return np.concatenate(parts)

    def shod(self, places: Floats) -> Floats:
        """All vertices `places` [N,3] m with shoes for feet."""
        out, feet = places.copy(), places[self.feet]
        for _ in range(_SMOOTHINGS):
            feet = feet + _SMOOTH * (self.shoe @ feet - feet)
            feet = feet - _BACK * (self.shoe @ feet - feet)
        out[self.feet] = feet
        return out


class _Same:
    """A body as a key: two are equal if they are one."""

    def __init__(self, body: BodyModel) -> None:
        self.body = body

    def __hash__(self) -> int:
        return id(self.body)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.body is self.body


def wardrobe_of(body: BodyModel) -> Wardrobe:
    """What fits `body`; made once for each."""
    return _wardrobe(_Same(body))


@lru_cache(maxsize=4)
def _wardrobe(key: _Same) -> Wardrobe:
    body = key.body
    extras = _extras(body) if body.name == NAME else {}
    places, weights = [body.v_template], [body.weights]
    faces, count = {"body": body.faces}, len(body.v_template)
    for name, extra in extras.items():
        faces[name] = extra.faces + count
        places.append(extra.vertices)
        weights.append(extra.weights)
        count += len(extra.vertices)
    scale = _HEIGHT_M / float(np.ptp(body.v_template[:, 1]))
    rest = (np.concatenate(places) - body.rest_joints(np.zeros(10))[0]) * scale
    carrier = np.concatenate(weights).argmax(1)
    feet, shoe = _shoe(body, rest[: len(body.v_template)], carrier[: len(body.v_template)])
    return Wardrobe(
        body, rest, carrier, faces, np.concatenate(list(faces.values())), extras, feet, shoe, *_caster(body)
    )


def _caster(body: BodyModel) -> tuple[Ints, Ints]:
    if body.name != NAME:
        return np.arange(len(body.v_template)), body.faces
    mesh = coarse_of(body)
    return mesh.vertex_ids, coarse_faces(body, mesh)


def _extras(body: BodyModel) -> dict[str, Extra]:
    arrays = load_arrays(asset("wardrobe.npz"))
    out = {}
    for name in ("hair", "skirt"):
        near, share = arrays[f"{name}_near"].astype(np.int64), arrays[f"{name}_share"].astype(np.float64)
        weights = arrays[f"{name}_weights"].astype(np.float64)
        out[name] = Extra(
            vertices=arrays[f"{name}_vertices"].astype(np.float64),
            shapedirs=np.einsum("vk,vkab->vab", share, body.shapedirs[near]),
            weights=weights / weights.sum(1, keepdims=True),
            faces=arrays[f"{name}_faces"].astype(np.int64),
        )
    return out


def _shoe(body: BodyModel, rest: Floats, carrier: Ints) -> tuple[Ints, csr_matrix]:
    """Vertices of the feet and the matrix that evens them out; the ankles' ends stay."""
    names = [f"{side}_{joint}" for side in ("left", "right") for joint in ("ankle", "foot")]
    feet = np.flatnonzero(np.isin(carrier, [SMPL[n] for n in names]) & (rest[:, 1] < -0.88))
    row = np.full(len(rest), -1)
    row[feet] = np.arange(len(feet))
    corners = row[body.faces]
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    edges = edges[(edges >= 0).all(1)]
    ones = np.ones(2 * len(edges))
    both = np.concatenate([edges, edges[:, ::-1]])
    step = csr_matrix((ones, both.T), (len(feet), len(feet)))
    step.data[:] = 1
    free = (rest[feet, 1] < -0.9) & (step.getnnz(1) > 0)
    step = diags(free / np.maximum(step.getnnz(1), 1)) @ step + diags(~free * 1.0)
    return feet, csr_matrix(step)


def cut(faces: Ints, keep: Floats) -> tuple[Ints, Floats, Ints]:
    """The part of a mesh `faces` [F,3] where the field `keep` [V], linear on the faces, is above 0.

    Returns pairs [N,2] of vertices, share [N] and faces [G,3]: vertex n lies at (1 - share) of pair 0 and share of
    pair 1; share is 0 for vertices that were there.
    """
    inside = (keep > 0)[faces]
    corners_in = inside @ np.ones(3, np.int8)
    whole, one, two = faces[corners_in == 3], corners_in == 1, corners_in == 2
    tips, tops = _turned(faces[one], inside[one]), _turned(faces[two], ~inside[two])
    # edges across the border, from the vertex that stays
    edges = np.concatenate([tips[:, [0, 1]], tips[:, [0, 2]], tops[:, [1, 0]], tops[:, [2, 0]]])
    count = len(keep)
    codes, index = np.unique(edges[:, 0] * count + edges[:, 1], return_inverse=True)
    edges, index = np.stack(np.divmod(codes, count), 1), index.reshape(-1) + count
    n, m = len(tips), len(tops)
    ab, ac, ba, ca = np.split(index, [n, 2 * n, 2 * n + m])
    made = np.concatenate(
        [
            whole, np.stack([tips[:, 0], ab, ac], 1), np.stack([ba, tops[:, 1], tops[:, 2]], 1),
            np.stack([ba, tops[:, 2], ca], 1),
        ]
    )  # fmt: skip
    needed = np.zeros(count + len(edges), bool)
    needed[made] = True
    used, corners = np.flatnonzero(needed), (np.cumsum(needed) - 1)[made]
    old = used < len(keep)
    edges = np.concatenate([edges, np.zeros((1, 2), np.int64)])  # the last one stands for none
    pairs = np.where(old[:, None], used[:, None], edges[np.where(old, -1, used - len(keep))])
    a, b = keep[pairs[:, 0]], keep[pairs[:, 1]]
    share = np.where(old, 0.0, a / np.where(old, 1.0, a - b))
    return pairs, share, corners


def _turned(faces: Ints, odd: Ints) -> Ints:
    """Corners in the same order, beginning with the one that is `odd`."""
    return np.take_along_axis(faces, (odd.argmax(1)[:, None] + np.arange(3)) % 3, 1) if len(faces) else faces


def vertex_normals(vertices: Floats, faces: Ints) -> Floats:
    """Unit normals [V,3] float32, the mean of the faces around weighted by area."""
    x, y, z = (np.ascontiguousarray(column, np.float32) for column in (vertices - vertices[0]).T)
    i, j, k = (np.ascontiguousarray(corner) for corner in faces.T)
    x0, y0, z0 = x[i], y[i], z[i]
    ax, ay, az, bx, by, bz = x[j] - x0, y[j] - y0, z[j] - z0, x[k] - x0, y[k] - y0, z[k] - z0
    normals = np.empty((len(vertices), 3), np.float32)
    for axis, across in enumerate((ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)):
        normals[:, axis] = sum(np.bincount(corner, across, len(vertices)) for corner in (i, j, k))
    normals /= np.maximum(np.sqrt((normals * normals).sum(1, keepdims=True)), 1e-12)
    return normals
