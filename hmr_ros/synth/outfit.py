"""Clothed people: which pieces of cloth, hair and skin somebody shows, cut from the surfaces of a `Wardrobe`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hmr_ros.body.joints import SMPL
from hmr_ros.synth.fabric import Fabric, Folds, random_fabric, random_folds
from hmr_ros.synth.face import Face, random_face
from hmr_ros.synth.wardrobe import Wardrobe, cut, vertex_normals
from hmr_ros.types import Bools, Floats, Ints

# BGR; real skins lie between neighbours
_SKIN = np.array(
    [(175, 200, 240), (150, 185, 230), (120, 160, 205), (85, 125, 180), (60, 90, 140), (38, 55, 90)], float
)
_HAIR = np.array(
    [(18, 18, 22), (25, 32, 48), (35, 55, 85), (70, 110, 150), (110, 160, 195), (40, 60, 130), (150, 150, 155)], float
)
_HEM_M = 0.06  # from its edge on a piece of cloth shows its inside too
_UNDER_M = 0.025  # skin goes on so far under cloth
_AXIS_Z = -0.02  # of the trunk at rest
_ARM_X = 0.2  # where sleeves begin


@dataclass(frozen=True)
class Material:
    """What a piece is made of."""

    kind: str  # skin, hair, cloth or shoe
    color: Floats  # [3] BGR
    gloss: float
    fabric: Fabric | None = None
    folds: Folds | None = None
    sole: Floats | None = None  # [3] of shoes


@dataclass(frozen=True)
class Piece:
    """One material on a part of the surfaces, before all pieces become one mesh."""

    material: Material
    pairs: Ints  # [N,2], as in `cut`
    share: Floats  # [N]
    faces: Ints  # [F,3]
    offset: Floats  # [N] m outwards
    both_sides: Bools  # [F]


@dataclass(frozen=True)
class Outfit:
    """One mesh of all pieces: vertex n lies between two vertices of the wardrobe, `offset` along the normal."""

    wardrobe: Wardrobe
    materials: list[Material]
    pairs: Ints  # [N,2]
    share: Floats  # [N]
    offset: Floats  # [N] m
    rest: Floats  # [N,3] m, places on the resting body
    faces: Ints  # [F,3]
    material: Ints  # [F]
    both_sides: Bools  # [F]
    cloth_uv: Floats  # [F,3,2] m, place of the corners on flat cloth
    face: Face
    shod: bool

    def posed(self, vertices: Floats, pose: Floats, betas: Floats, transl: Floats) -> tuple[Floats, Floats]:
        """Vertices [N,3] m and unit normals [N,3] on a body; arguments as in `Wardrobe.posed`."""
        wardrobe = self.wardrobe
        places = wardrobe.posed(vertices, pose, betas, transl)
        if self.shod:
            places = wardrobe.shod(places)
        outwards = vertex_normals(places, wardrobe.all_faces)
        a, b, share = self.pairs[:, 0], self.pairs[:, 1], self.share[:, None]
        where = places[a] + share * (places[b] - places[a])
        where += self.offset[:, None] * (outwards[a] + share * (outwards[b] - outwards[a]))
        return where, vertex_normals(where, self.faces)


def random_outfit(wardrobe: Wardrobe, rng: np.random.Generator) -> Outfit:
    """Somebody dressed for anything."""
    tone = rng.uniform(0, len(_SKIN) - 1)
    skin = _SKIN[int(tone)] + (tone % 1) * (_SKIN[min(int(tone) + 1, len(_SKIN) - 1)] - _SKIN[int(tone)])
    skin = np.clip(skin * rng.uniform(0.9, 1.08) + rng.normal(0, 4, 3), 5, 250)
    hair = np.clip(_HAIR[rng.choice(len(_HAIR), p=_hair_shares(tone))] * rng.uniform(0.7, 1.3), 4, 220)
    man = rng.random() < 0.5
    y = wardrobe.rest[:, 1]
    pieces, hidden = [], np.full(len(y), -1.0)  # how deep under cloth, m
    for piece, field in _clothes(wardrobe, rng, man):
        pieces.append(piece)
        hidden = np.maximum(hidden, field)
    barefoot = rng.random() < 0.06
    if not barefoot:
        piece, field = _shoes(wardrobe, rng)
        pieces.append(piece)
        hidden = np.maximum(hidden, field)
    pieces += _hair_pieces(wardrobe, hair, man, rng)
    bare = wardrobe.faces["body"]
    bare = bare[(hidden[bare] < _UNDER_M).any(1)]
    corners, index = np.unique(bare, return_inverse=True)
    flesh = Material("skin", skin, rng.uniform(0.05, 0.25))
    pieces.append(
        Piece(
            flesh, np.stack([corners, corners], 1), np.zeros(len(corners)), index.reshape(-1, 3),
            np.zeros(len(corners)), np.zeros(len(bare), bool),
        )
    )  # fmt: skip
    beard = man and rng.random() < 0.45
    return _joined(wardrobe, pieces, random_face(skin, hair, rng, beard), shod=not barefoot)


def _hair_shares(tone: float) -> Floats:
    dark = np.clip((tone - 1) / 2, 0, 1)
    light = np.array([0.2, 0.22, 0.2, 0.13, 0.1, 0.05, 0.1])
    return (1 - dark) * light + dark * np.array([0.6, 0.3, 0.02, 0.0, 0.0, 0.0, 0.08])


def _joined(wardrobe: Wardrobe, pieces: list[Piece], face: Face, shod: bool) -> Outfit:
    starts = np.cumsum([0, *(len(p.pairs) for p in pieces)])
    pairs = np.concatenate([p.pairs for p in pieces])
    share = np.concatenate([p.share for p in pieces])
    faces = np.concatenate([p.faces + s for p, s in zip(pieces, starts, strict=False)])
    rest = wardrobe.rest[pairs[:, 0]] * (1 - share[:, None]) + wardrobe.rest[pairs[:, 1]] * share[:, None]
    return Outfit(
        wardrobe, [p.material for p in pieces], pairs, share, np.concatenate([p.offset for p in pieces]), rest, faces,
        np.repeat(np.arange(len(pieces)), [len(p.faces) for p in pieces]),
        np.concatenate([p.both_sides for p in pieces]), _flat(rest, faces), face, shod,
    )  # fmt: skip


def _flat(rest: Floats, faces: Ints) -> Floats:
    """Places [F,3,2] m on cloth: v along trunk and legs or along the arms, u across, on the side that a face shows."""
    x, y, z = (column[faces] for column in np.ascontiguousarray(rest.T, np.float32))
    (e1x, e1y, e1z), (e2x, e2y, e2z) = ([c[:, k] - c[:, 0] for c in (x, y, z)] for k in (1, 2))
    across = [np.abs(e1y * e2z - e1z * e2y), np.abs(e1z * e2x - e1x * e2z), np.abs(e1x * e2y - e1y * e2x)]
    arm = (np.abs(x[:, 0]) > _ARM_X) & (y[:, 0] > 0.2)
    side = np.where(arm, across[1] > across[2], across[0] > across[2])  # seen from above, or from the side
    u = np.where(side[:, None], z, np.where(arm[:, None], y, x))
    return np.stack([u, np.where(arm[:, None], x, y)], -1) + np.float32(2)


def _piece(wardrobe: Wardrobe, part: str, field: Floats, offset: Floats, material: Material) -> Piece:
    """The part of a surface where `field` [N] m, the distance from the hem, is above 0."""
    pairs, share, faces = cut(wardrobe.faces[part], field)
    away = offset[pairs[:, 0]] * (1 - share) + offset[pairs[:, 1]] * share
    depth = field[pairs[:, 0]] * (1 - share) + field[pairs[:, 1]] * share
    if material.folds is not None:
        rest = wardrobe.rest[pairs[:, 0]] * (1 - share[:, None]) + wardrobe.rest[pairs[:, 1]] * share[:, None]
        away = np.maximum(away + material.folds.height(rest), 0.003)
    both = (depth < _HEM_M)[faces].any(1) if part == "body" else np.ones(len(faces), bool)
    return Piece(material, pairs, share, faces, away, both)


def _cloth(rng: np.random.Generator, dark: bool, loose: float, calm: float) -> Material:
    value = rng.uniform(15, 110) if dark else rng.uniform(20, 235)
    tint = rng.normal(0, 1, 3) * rng.choice([4, 15, 40])
    color = np.clip(value + tint, 5, 250)
    return Material(
        "cloth", color, rng.choice([0.0, 0.03, 0.15]), random_fabric(color, rng, calm), random_folds(rng, loose)
    )


def _clothes(wardrobe: Wardrobe, rng: np.random.Generator, man: bool) -> list[tuple[Piece, Floats]]:
    """Pieces from the inside out, each with how deep [N] m the body lies under it."""
    out = []
    dressed = rng.random()
    has_skirt = "skirt" in wardrobe.faces and not man and dressed < 0.2
    is_dress = has_skirt and dressed < 0.1
    has_coat = "skirt" in wardrobe.faces and rng.random() < 0.04
    top_loose = rng.uniform(0, 1) ** 1.5
    top_cloth = _cloth(rng, False, top_loose, 0.55)
    if not has_skirt or rng.random() < 0.2:
        out.append(_trousers(wardrobe, rng))
    if man and rng.random() < 0.04:
        return out
    if has_skirt:
        cloth = top_cloth if is_dress else _cloth(rng, False, 0.5, 0.5)
        out += _skirt(wardrobe, rng, cloth, rng.uniform(-0.75, -0.28), rng.uniform(0.004, 0.04))
    hem = 0.0 if has_skirt else rng.uniform(-0.2, 0.02)
    sleeve = float(
        rng.choice([0.205, rng.uniform(0.27, 0.4), rng.uniform(0.45, 0.6), 0.655], p=[0.12, 0.43, 0.1, 0.35])
    )
    out.append(_top(wardrobe, rng, top_cloth, hem, sleeve, top_loose, 0.0))
    if has_coat or rng.random() < 0.1:
        loose = rng.uniform(0.4, 1)
        cloth = _cloth(rng, rng.random() < 0.6, loose, 0.8)
        out.append(_top(wardrobe, rng, cloth, rng.uniform(-0.16, -0.05), 0.655, loose, 0.012))
        if has_coat:
            out += _skirt(wardrobe, rng, cloth, rng.uniform(-0.5, -0.2), rng.uniform(0.02, 0.05))
    return out


def _top(
    wardrobe: Wardrobe, rng: np.random.Generator, cloth: Material, hem: float, sleeve: float, loose: float, over: float
) -> tuple[Piece, Floats]:
    """A shirt, pullover or jacket down to the `hem`, with sleeves to `sleeve` [m from the middle]."""
    x, y, z = wardrobe.rest.T
    along = np.abs(x)
    dip = rng.uniform(0.0, 0.11) * (z > -0.02) * np.exp(-((x / rng.uniform(0.04, 0.09)) ** 2))
    collar = rng.uniform(0.43, 0.465) - dip
    neck = np.minimum(np.maximum(collar - y, np.hypot(x, z - _AXIS_Z) - 0.1), 0.455 - y)
    slope = rng.normal(0, 0.15)
    field = np.minimum(np.minimum(y - hem - slope * z * (along < _ARM_X), sleeve - along), neck)
    field[np.isin(wardrobe.carrier, [SMPL["left_hand"], SMPL["right_hand"]])] = -1
    offset = 0.004 + 0.006 * loose + over + 0.008 * np.clip((0.14 - y) / 0.04, 0, 1)  # over what the trousers are
    trunk = along < _ARM_X
    offset += trunk * loose * np.minimum(_hang(wardrobe, trunk), 0.07)
    wide = np.interp(along, [_ARM_X, max(sleeve, 0.25)], [0.085, _end_width(sleeve, rng)])
    around = np.hypot(y - np.interp(along, [0.178, 0.431, 0.657], [0.386, 0.372, 0.381]), z + 0.028)
    offset += ~trunk * np.clip(loose * (wide - around), 0, 0.06) * np.clip((along - _ARM_X) / 0.05, 0, 1)
    return _piece(wardrobe, "body", field, offset, cloth), field


def _end_width(sleeve: float, rng: np.random.Generator) -> float:
    return rng.uniform(0.065, 0.1) if sleeve < 0.42 else rng.uniform(0.04, 0.075)


def _hang(wardrobe: Wardrobe, trunk: Bools) -> Floats:
    """How far [N] m the trunk lies inside of cloth that hangs from chest, back and hips."""
    x, y, z = wardrobe.rest.T
    around = np.hypot(x, z - _AXIS_Z)
    bins = ((np.arctan2(z - _AXIS_Z, x) / (2 * np.pi) % 1) * 24).astype(int) % 24
    widest = np.zeros(24)
    holding = trunk & (y > -0.12) & (y < 0.33)
    np.maximum.at(widest, bins[holding], around[holding])
    widest = (np.roll(widest, 1) + widest + np.roll(widest, -1)) / 3
    return np.clip(widest[bins] - around, 0, None) * np.clip((0.36 - y) / 0.1, 0, 1)


def _trousers(wardrobe: Wardrobe, rng: np.random.Generator) -> tuple[Piece, Floats]:
    x, y, z = wardrobe.rest.T
    short = rng.random() < 0.25
    end = rng.uniform(-0.6, -0.22) if short else rng.uniform(-0.93, -0.8)
    loose = rng.uniform(0, 1) ** 1.3
    field = np.minimum(rng.uniform(0.0, 0.1) - y, y - end)
    wide = np.interp(-y, [0.15, 0.46, 0.9], [0.105, rng.uniform(0.07, 0.105), rng.uniform(0.05, 0.11)])
    axis_x = np.interp(-y, [0.092, 0.459, 0.883], [0.105, 0.138, 0.127])
    axis_z = np.interp(-y, [0.092, 0.459, 0.883], [-0.007, -0.012, -0.054])
    around = np.hypot(np.abs(x) - axis_x, z - axis_z)
    offset = 0.004 + 0.004 * loose + np.clip(loose * (wide - around), 0, 0.06) * np.clip((-0.12 - y) / 0.12, 0, 1)
    return _piece(wardrobe, "body", field, offset, _cloth(rng, rng.random() < 0.65, loose, 0.8)), field


def _skirt(
    wardrobe: Wardrobe, rng: np.random.Generator, cloth: Material, end: float, wide: float
) -> list[tuple[Piece, Floats]]:
    y = wardrobe.rest[:, 1]
    field = y - end
    flare = 0.006 + wide * np.clip((0.05 - y) / 0.4, 0, 1.5)
    under = np.minimum(field, 0.0 - y)
    under[wardrobe.faces["skirt"].min() :] = -1
    return [(_piece(wardrobe, "skirt", field, flare, cloth), under)]


def _shoes(wardrobe: Wardrobe, rng: np.random.Generator) -> tuple[Piece, Floats]:
    y = wardrobe.rest[:, 1]
    top = rng.choice([rng.uniform(-0.905, -0.88), rng.uniform(-0.86, -0.65)], p=[0.8, 0.2])
    field = top - y
    color = rng.uniform(10, 70) * np.ones(3) if rng.random() < 0.55 else rng.uniform(20, 240, 3)
    sole = color * 0.5 if rng.random() < 0.5 else np.full(3, rng.uniform(170, 235))
    material = Material("shoe", color, rng.uniform(0.0, 0.35), sole=sole)
    offset = 0.008 + 0.006 * (y < -0.945)
    return _piece(wardrobe, "body", field, offset, material), field


def _hair_pieces(wardrobe: Wardrobe, color: Floats, man: bool, rng: np.random.Generator) -> list[Piece]:
    x, y, z = wardrobe.rest.T
    style = rng.random()
    if man and style < 0.1:
        return []
    ends_y = np.array([0.515, 0.53, 0.55, 0.58, 0.605, 0.64, 0.648]) + rng.normal(0, 0.006)
    line = np.interp(z, [-0.09, -0.05, -0.02, 0.02, 0.045, 0.075, 0.11], ends_y)
    recede = rng.uniform(0, 0.03) * (man and rng.random() < 0.4) * np.clip(np.abs(x) / 0.05, 0, 1) * (z > 0.03)
    field = y - line - recede
    field = np.minimum(field, np.where((y < 0.605) & (np.abs(z) < 0.03), 0.076 - np.abs(x), 1.0))  # not on the ears
    field[y < 0.45] = -1
    strands = random_folds(rng, 0.5)
    volume = rng.uniform(0.004, 0.012) if man or style < 0.6 else rng.uniform(0.01, 0.045)
    if rng.random() < 0.07:
        volume = rng.uniform(0.03, 0.07)
    hair = long = Material("hair", color, rng.uniform(0.05, 0.4), folds=strands)
    if rng.random() < 0.1:  # a cap
        color = rng.uniform(10, 220, 3)
        hair = Material("cloth", color, 0.0, random_fabric(color, rng), random_folds(rng, 0.1))
        field = np.minimum(y - rng.uniform(0.615, 0.64), field + 0.03)
        field[y < 0.5] = -1
    rim = np.clip(field / 0.03, 0.15, 1)  # thin at the hairline
    out = [_piece(wardrobe, "body", field, volume * rim, hair)]
    if not man and "hair" in wardrobe.faces and style < 0.55:
        front = np.minimum(rng.uniform(0.0, 0.05) - z, y - rng.uniform(0.1, 0.5))
        front = np.minimum(front, 0.66 - y)
        out.append(_piece(wardrobe, "hair", front, np.full(len(y), rng.uniform(-0.012, 0.012)), long))
    return out
