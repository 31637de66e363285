"""Draws dressed people into images: every pixel's surface from a z-buffer, its colour from cloth, skin and lamps.

Four samples a pixel, so edges are smooth. Light is added up linearly and shown with a gamma of 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from hmr_ros.synth.face import HIGH_M, LEFT_M, TOP_M, WIDE_M
from hmr_ros.synth.light import Lamps, LampView, darken_floor, lamp_view
from hmr_ros.synth.outfit import Material, Outfit
from hmr_ros.types import Floats, Image, Ints
from hmr_ros.view.raster import fragments

_FINER = 2  # samples a pixel and axis
_NEAR_M = 0.05
_LIMIT_PX = 20_000.0
_AT_ONCE = 1 << 16  # samples; a close person has millions
_CREASE_M = 0.09  # surfaces so near to each other keep light away
_FACE_Z_M = 0.03  # the face lies before this plane of the resting body


@dataclass(frozen=True)
class Dressed:
    """Somebody in their clothes; one mesh in camera axes."""

    outfit: Outfit
    vertices: Floats  # [N,3] m
    normals: Floats  # [N,3]
    caster: Floats  # [C,3] m, the coarse body that casts its shadow


@dataclass(frozen=True)
class _Surface:
    """What the M samples of an image show of a person; one or more."""

    sample: Ints  # [M] index into the flat image
    face: Ints  # [M]
    weights: Floats  # [M,3]
    depth: Floats  # [M] m
    open: Floats  # [M] share of the light from all around that nearer surfaces beside them let through
    px_per_m: float

    def part(self, at: Ints) -> _Surface:
        """Those with these indices."""
        return _Surface(
            self.sample[at], self.face[at], self.weights[at], self.depth[at], self.open[at], self.px_per_m
        )  # fmt: skip


def dressed(outfit: Outfit, vertices: Floats, pose: Floats, betas: Floats, transl: Floats) -> Dressed:
    """An outfit on a body at `vertices` [V,3] m; arguments as in `Wardrobe.posed`."""
    return Dressed(outfit, *outfit.posed(vertices, pose, betas, transl), vertices[outfit.wardrobe.caster])


def draw_dressed(image: Image, people: Sequence[Dressed], K: Floats, lamps: Lamps, floor_shadow: float = 0.0) -> Image:
    """Paint people over `image` [H,W,3] in place and return it; whoever is nearer hides the others.

    `floor_shadow` 0..1 is how dark their shadows on the floor are.
    """
    views = [lamp_view(p.caster, p.outfit.wardrobe.caster_faces, lamps.key) for p in people]
    if floor_shadow > 0:
        for person, view in zip(people, views, strict=True):
            darken_floor(image, person.caster, view, K, lamps, floor_shadow)
    box = _box(people, K, image.shape[1], image.shape[0])
    if box is None:
        return image
    left, top, right, bottom = box
    fine = np.array(
        [[_FINER, 0, (_FINER - 1) / 2 - _FINER * left], [0, _FINER, (_FINER - 1) / 2 - _FINER * top], [0, 0, 1]]
    )
    width, height = (right - left) * _FINER, (bottom - top) * _FINER
    shades = np.zeros((height * width, 3), np.float32)
    covered = np.zeros(height * width, np.float32)
    depth = np.full(height * width, np.inf, np.float32)
    for person, view in zip(people, views, strict=True):
        surface = _surface(person, fine @ K, width, height)
        if surface is None:
            continue
        nearer = surface.depth < depth[surface.sample]
        color = _shaded(person, surface, lamps, view)
        shades[surface.sample[nearer]] = color[nearer]
        covered[surface.sample[nearer]] = 1
        depth[surface.sample[nearer]] = surface.depth[nearer]
    small = (right - left, bottom - top)
    alpha = cv2.resize(covered.reshape(height, width), small, interpolation=cv2.INTER_AREA)[..., None]
    paint = cv2.resize(shades.reshape(height, width, 3), small, interpolation=cv2.INTER_AREA)
    part = image[top:bottom, left:right]
    part[:] = np.clip(part * (1 - alpha) + paint + 0.5, 0, 255).astype(np.uint8)
    return image


def _box(people: Sequence[Dressed], K: Floats, width: int, height: int) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom px of the part of the image that people are in."""
    points = np.concatenate([p.vertices for p in people])
    points = points[points[:, 2] > _NEAR_M] @ K.T
    if not len(points):
        return None
    px = points[:, :2] / points[:, 2:]
    low = np.maximum(np.floor(px.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(px.max(0)).astype(int) + 2, [width, height])
    return None if (high <= low).any() else (int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def _surface(person: Dressed, K: Floats, width: int, height: int) -> _Surface | None:
    outfit = person.outfit
    z = person.vertices[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        px = ((person.vertices @ K.T)[:, :2] / z[:, None]).astype(np.float32)
    usable = (z > _NEAR_M) & (np.abs(px[:, 0]) < _LIMIT_PX) & (np.abs(px[:, 1]) < _LIMIT_PX)
    x, y = np.ascontiguousarray(px[:, 0]), np.ascontiguousarray(px[:, 1])
    i, j, k = outfit.faces.T
    outside = (x[j] - x[i]) * (y[k] - y[i]) - (y[j] - y[i]) * (x[k] - x[i]) < 0
    shown = np.flatnonzero((outside | outfit.both_sides) & usable[i] & usable[j] & usable[k])
    near = 1 / np.maximum(z, _NEAR_M)
    sample, row, weights, inverse = fragments(px, near, outfit.faces[shown], width, height)
    if not len(sample):
        return None
    face, depth = shown[row], 1 / inverse
    weights *= near.astype(np.float32)[outfit.faces[face]] / inverse[:, None]
    px_per_m = float(K[0, 0] / np.median(depth))
    return _Surface(sample, face, weights, depth, _open(sample, depth, px_per_m, height, width), px_per_m)


def _shaded(person: Dressed, surface: _Surface, lamps: Lamps, view: LampView) -> Floats:
    """Colours [M,3] BGR 0..255 of the samples."""
    outfit = person.outfit
    table = np.concatenate([outfit.rest, person.normals, person.vertices], 1).astype(np.float32)
    material = outfit.material[surface.face]
    color = np.empty((len(material), 3), np.float32)
    for k, made_of in enumerate(outfit.materials):
        every = np.flatnonzero(material == k)
        for first in range(0, len(every), _AT_ONCE):
            at = every[first : first + _AT_ONCE]
            color[at] = _shaded_cloth(person, made_of, surface.part(at), table, lamps, view)
    return color


def _shaded_cloth(
    person: Dressed, made_of: Material, surface: _Surface, table: Floats, lamps: Lamps, view: LampView
) -> Floats:
    """The same of samples of one material; `table` [N,9] are the vertices at rest, their normals and places."""
    outfit, corners = person.outfit, person.outfit.faces[surface.face]
    wa, wb, wc = surface.weights.T[..., None]
    mixed = table[corners[:, 0]] * wa + table[corners[:, 1]] * wb + table[corners[:, 2]] * wc
    rest, normal, place = mixed[:, :3], mixed[:, 3:6], mixed[:, 6:]
    albedo = _albedo(outfit, made_of, rest, surface).astype(np.float32)
    if made_of.folds is not None:
        normal = normal - _bent(person, surface.face, made_of.folds.slope(rest).astype(np.float32))
    normal = normal / np.maximum(np.sqrt(_dot(normal, normal)), 1e-6)[:, None]
    back = -place / np.sqrt(_dot(place, place))[:, None]  # to the camera
    normal *= np.where(_dot(normal, back) < -0.25, np.float32(-1), np.float32(1))[:, None]  # seen from inside
    linear = np.square(albedo / np.float32(255)) * _light(normal, place, surface.open, lamps, view)
    middle = back + lamps.key.astype(np.float32)
    middle /= np.sqrt(_dot(middle, middle))[:, None]
    shine = np.square(np.clip(_dot(normal, middle), 0, 1))
    shine = np.square(np.square(np.square(shine * shine))) * np.float32(made_of.gloss)
    linear += shine[:, None] * lamps.key_color.astype(np.float32)
    return 255 * np.sqrt(np.clip(linear, 0, 1))


def _dot(a: Floats, b: Floats) -> Floats:
    """Scalar products [M] of rows [M,3]; several times as fast as a sum along the rows."""
    return np.asarray(a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2])


def _albedo(outfit: Outfit, made_of: Material, rest: Floats, surface: _Surface) -> Floats:
    color = made_of.color.astype(np.float32)
    if made_of.fabric is not None:
        uv = np.einsum("mkc,mk->mc", outfit.cloth_uv[surface.face], surface.weights)
        return made_of.fabric.at(uv, surface.px_per_m)
    if made_of.kind == "hair":
        strand = np.sin(rest[:, 0] * 900 + rest[:, 2] * 700 + np.sin(rest[:, 1] * 60) * 2)
        return color * (1 + 0.25 * strand[:, None])
    if made_of.kind == "shoe" and made_of.sole is not None:
        return np.where((rest[:, 1] < -0.949)[:, None], made_of.sole.astype(np.float32), color)
    blotch = np.sin(rest @ np.array([31, 23, 37], np.float32)) * np.sin(rest @ np.array([-43, 29, 19], np.float32))
    skin = color * (1 + 0.04 * blotch[:, None] * np.array([1.2, 1.0, 0.4], np.float32))
    return _with_face(skin, outfit, rest)


def _with_face(skin: Floats, outfit: Outfit, rest: Floats) -> Floats:
    """Skin [M,3] with the face painted on where `rest` [M,3] lies on the front of the head."""
    face = outfit.face
    high, wide = face.cover.shape
    column = ((rest[:, 0] - LEFT_M) * (wide / WIDE_M)).astype(np.int32)
    row = ((TOP_M - rest[:, 1]) * (high / HIGH_M)).astype(np.int32)
    on = np.flatnonzero((rest[:, 2] > _FACE_Z_M) & (column >= 0) & (column < wide) & (row >= 0) & (row < high))
    cover = face.cover[row[on], column[on], None]
    skin[on] += cover * (face.color[row[on], column[on]] - skin[on])
    return skin


def _bent(person: Dressed, face: Ints, slope: Floats) -> Floats:
    """Gradients [M,3] on the resting body -> on the posed one, within the faces they lie in."""
    corners = person.outfit.faces
    needed = np.zeros(len(corners), bool)
    needed[face] = True
    used, row = np.flatnonzero(needed), (np.cumsum(needed) - 1)[face]
    rest, posed = person.outfit.rest[corners[used]], person.vertices[corners[used]]
    e1, e2 = posed[:, 1] - posed[:, 0], posed[:, 2] - posed[:, 0]
    aa, bb, ab = _dot(e1, e1), _dot(e2, e2), _dot(e1, e2)
    area = np.maximum(aa * bb - ab * ab, 1e-12)[:, None]
    dual1, dual2 = (bb[:, None] * e1 - ab[:, None] * e2) / area, (aa[:, None] * e2 - ab[:, None] * e1) / area
    # how a slope along the edges at rest becomes one along the posed edges
    turn = (
        dual1[:, :, None] * (rest[:, 1] - rest[:, 0])[:, None] + dual2[:, :, None] * (rest[:, 2] - rest[:, 0])[:, None]
    )
    return np.clip(np.einsum("mab,mb->ma", turn.astype(np.float32)[row], slope), -0.8, 0.8)


def _light(normal: Floats, place: Floats, opened: Floats, lamps: Lamps, view: LampView) -> Floats:
    """Light [M,3] that reaches the samples; `opened` [M] as `_Surface.open`."""
    sky, ground = lamps.sky.astype(np.float32), lamps.ground.astype(np.float32)
    upwards = 0.5 + 0.5 * (normal @ lamps.up.astype(np.float32))
    ambient = ground + upwards[:, None] * (sky - ground)
    ambient *= opened[:, None]
    key = np.clip(normal @ lamps.key.astype(np.float32), 0, 1)
    if lamps.shadow > 0:
        key *= 1 - lamps.shadow * view.shadowed(place)
    fill = np.clip(normal @ lamps.fill.astype(np.float32), 0, 1)
    return (
        ambient
        + key[:, None] * lamps.key_color.astype(np.float32)
        + fill[:, None] * lamps.fill_color.astype(np.float32)
    )


def _open(sample: Ints, away: Floats, px_per_m: float, height: int, width: int) -> Floats:
    """`_Surface.open` [M] of samples `away` [M] m."""
    depth = np.full(width * height, float(away.max()) + _CREASE_M, np.float32)
    depth[sample] = away
    side = int(max(3, _CREASE_M * px_per_m)) | 1
    around = cv2.blur(depth.reshape(height, width), (side, side), borderType=cv2.BORDER_REPLICATE).reshape(-1)
    return 1 - 0.65 * np.clip((away - around[sample]) / _CREASE_M, 0, 1)
