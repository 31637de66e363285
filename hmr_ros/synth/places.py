"""Where people stand: rooms with furniture, streets and meadows, cast ray by ray as boxes, so that the floor is where
the feet are."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hmr_ros.synth.fabric import Fabric, random_fabric
from hmr_ros.types import Bools, Floats, Image, Ints

_LOWEST_M = 0.4  # of the camera above the floor, so that it is seen as one
_FAR_M = 60.0
_LARGE_PX = 30_000  # images up to here are cast pixel by pixel, larger ones by every second


@dataclass(frozen=True)
class Box:
    """A box with one cloth on all sides, in axes x right, y up, z ahead of a camera at the origin."""

    low: Floats  # [3] m
    high: Floats  # [3] m
    fabric: Fabric
    bright: float = 1.0


def place(width: int, height: int, K: Floats, up: Floats, floor: float, near: float, rng: np.random.Generator) -> Image:
    """What is behind somebody [H,W,3]: `up` [3] in camera axes, the `floor` where up . x = floor [m], furniture from
    `near` [m] on."""
    if rng.random() < (0.5 if floor > -_LOWEST_M else 0.1):
        return _blurred(width, height, rng)
    floor = min(floor, -_LOWEST_M)
    ahead = np.array([0.0, 0.0, 1.0]) - up[2] * up
    ahead = ahead / np.linalg.norm(ahead) if np.linalg.norm(ahead) > 0.1 else np.array([0.0, -1.0, 0.0])
    axes = np.stack([np.cross(up, ahead), up, ahead])
    turn = rng.uniform(-0.7, 0.7)
    axes = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]) @ axes
    step = 1 if width * height < _LARGE_PX else 2
    columns, rows = np.meshgrid(np.arange(0, width, step), np.arange(0, height, step))
    rays = np.stack([columns.reshape(-1), rows.reshape(-1), np.ones(rows.size)], 1) @ (axes @ np.linalg.inv(K)).T
    inside = rng.random() < 0.65
    shell, boxes = _room(floor, near, rng) if inside else _outdoors(floor, near, rng)
    image, owner = _cast(rays.astype(np.float32), shell, boxes, float(K[0, 0]) / step, rng)
    if not inside:
        _sky(image, rays, owner < 0, rng)
    image = image.reshape(*rows.shape, 3)
    if step > 1:
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))
    if rng.random() < 0.4:  # out of focus
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 2.5)))
    return np.clip(image, 0, 255).astype(np.uint8)


def _blurred(width: int, height: int, rng: np.random.Generator) -> Image:
    """Nothing in particular: light and dark of all sizes."""
    image = np.broadcast_to(_color(rng, 40, 210, 20), (height, width, 3)).astype(np.float32)
    for cells in (3, 7, 17, 40):
        coarse = rng.normal(0, 0.35, (cells, cells, 3)) + rng.normal(0, 1, (cells, cells, 1))
        mode = cv2.INTER_CUBIC if rng.random() < 0.8 else cv2.INTER_NEAREST
        image += np.float32(rng.uniform(3, 25)) * cv2.resize(
            coarse.astype(np.float32), (width, height), interpolation=mode
        )
    return np.clip(image, 0, 255).astype(np.uint8)


def _color(rng: np.random.Generator, low: float, high: float, vivid: float) -> Floats:
    return np.clip(rng.uniform(low, high) + rng.normal(0, vivid, 3), 5, 250)


def _room(floor: float, near: float, rng: np.random.Generator) -> tuple[Box, list[Box]]:
    """The walls around and what stands in front of them."""
    back, left, right = near + rng.uniform(0.4, 4.0), -rng.uniform(1.5, 4.0), rng.uniform(1.5, 4.0)
    top = floor + rng.uniform(2.4, 3.4)
    shell = Box(
        np.array([left, floor, -1.5]), np.array([right, top, back]),
        random_fabric(_color(rng, 110, 225, 15), rng, 0.85), rng.uniform(0.8, 1.05),
    )  # fmt: skip
    boxes = [_flat_on(0, floor, left, right, -1.5, back, random_fabric(_color(rng, 50, 180, 18), rng, 0.4))]
    boxes.append(_flat_on(top - floor, floor, left, right, -1.5, back, random_fabric(_color(rng, 190, 240, 4), rng, 1)))
    for _ in range(int(rng.integers(1, 6))):  # posters, doors, windows
        half = rng.uniform(0.15, 0.8, 2)
        x, y = rng.uniform(left, right), floor + rng.uniform(0.8, 2.0)
        bright = 1.6 if rng.random() < 0.25 else 1.0
        fabric = random_fabric(_color(rng, 30, 240, 30), rng, 0.3)
        low = np.array([x - half[0], max(floor, y - half[1]), back - 0.04])
        boxes.append(Box(low, np.array([x + half[0], y + half[1], back - 0.001]), fabric, bright))
    for _ in range(int(rng.integers(0, 6))):
        boxes.append(_furniture(floor, near, back, left, right, rng))
    return shell, boxes


def _flat_on(rise: float, floor: float, left: float, right: float, front: float, back: float, fabric: Fabric) -> Box:
    y = floor + rise
    return Box(np.array([left, y - 0.003, front]), np.array([right, y + 0.003, back]), fabric)


def _furniture(floor: float, near: float, back: float, left: float, right: float, rng: np.random.Generator) -> Box:
    wide, deep, high = rng.uniform(0.2, 1.0), rng.uniform(0.15, 0.5), rng.choice([0.45, 0.75, 1.2, 2.0])
    z = rng.uniform(near + 0.3, max(back, near + 0.5))
    x = rng.uniform(left, right)
    base = floor if rng.random() < 0.8 else floor + rng.uniform(0.4, 1.0)
    fabric = random_fabric(_color(rng, 20, 220, 22), rng, 0.55)
    return Box(
        np.array([x - wide, base, z]), np.array([x + wide, base + high * rng.uniform(0.8, 1.2), z + deep]), fabric
    )


def _outdoors(floor: float, near: float, rng: np.random.Generator) -> tuple[Box, list[Box]]:
    """Ground, and houses, hedges, cars and poles at a distance."""
    grass = rng.random() < 0.4
    color = rng.normal([50, 110, 90], 15) if grass else _color(rng, 70, 160, 6)
    ground = random_fabric(np.clip(color, 5, 240), rng, 0.75)
    shell = Box(np.array([-_FAR_M, floor, -_FAR_M]), np.array([_FAR_M, _FAR_M, _FAR_M]), ground)
    boxes = []
    for _ in range(int(rng.integers(2, 12))):
        z, x = near + rng.uniform(0.8, 25), rng.uniform(-14, 14)
        if rng.random() < 0.35:  # house
            half, high, fabric = (
                rng.uniform(2, 6),
                rng.uniform(3, 12),
                random_fabric(_color(rng, 60, 210, 15), rng, 0.3),
            )
        elif rng.random() < 0.6:  # hedge, tree
            half, high = rng.uniform(0.3, 2.5), rng.uniform(0.6, 4)
            fabric = random_fabric(np.clip(rng.normal([40, 80, 60], 15), 5, 200), rng, 0.4)
        else:
            half, high, fabric = (
                rng.uniform(0.05, 2),
                rng.uniform(0.8, 1.6),
                random_fabric(_color(rng, 20, 230, 30), rng),
            )
        boxes.append(Box(np.array([x - half, floor, z]), np.array([x + half, floor + high, z + half]), fabric))
    return shell, boxes


def _cast(rays: Floats, shell: Box, boxes: list[Box], focal: float, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """Colours [M,3] of what rays [M,3] from the origin meet first, and the box's index; the shell, -1, is met from
    inside."""
    x, y, z = (np.ascontiguousarray(column) for column in rays.T)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = [np.float32(1) / column for column in (x, y, z)]
    _, (ax, ay, az) = _slabs(shell, inverse)
    depth = np.minimum(np.minimum(ax, ay), az)
    axis = np.where(depth == ax, 0, np.where(depth == ay, 1, 2))
    owner = np.full(len(rays), -1)
    for k, box in enumerate(boxes):
        (ax, ay, az), (bx, by, bz) = _slabs(box, inverse)
        first, last = np.maximum(np.maximum(ax, ay), az), np.minimum(np.minimum(bx, by), bz)
        hit = np.flatnonzero((first > 0.05) & (first < last) & (first < depth))
        depth[hit], owner[hit] = first[hit], k
        axis[hit] = np.where(first[hit] == ax[hit], 0, np.where(first[hit] == ay[hit], 1, 2))
    x, y, z = x * depth, y * depth, z * depth
    sides = np.array([rng.uniform(0.6, 1.0), rng.uniform(0.85, 1.1), rng.uniform(0.7, 1.05)], np.float32)
    lamp = np.array([rng.uniform(-2, 2), shell.high[1], rng.uniform(0, 5)], np.float32)
    away = (x - lamp[0]) ** 2 + (y - min(lamp[1], 4)) ** 2 + (z - lamp[2]) ** 2
    fall = 1 / (1 + away / np.float32(rng.uniform(20, 120)))
    u, v = x + np.where(axis == 0, z, 0), np.where(axis == 1, z, y)
    colors = np.empty((len(rays), 3), np.float32)
    for k in range(-1, len(boxes)):
        at = np.flatnonzero(owner == k)
        if not len(at):
            continue
        box = boxes[k] if k >= 0 else shell
        uv = np.stack([u[at], v[at]], 1) + 100
        colors[at] = box.fabric.at(uv, focal / float(np.median(depth[at]))) * np.float32(box.bright)
    return colors * (sides[axis] * (0.55 + 0.6 * fall))[:, None], owner


def _slabs(box: Box, inverse: list[Floats]) -> tuple[list[Floats], list[Floats]]:
    """Where rays with these inverse directions enter and leave the three pairs of a box's planes, in lengths of the
    rays."""
    enter, leave = [], []
    for low, high, each in zip(box.low, box.high, inverse, strict=True):
        a, b = np.float32(low) * each, np.float32(high) * each
        enter.append(np.minimum(a, b))
        leave.append(np.maximum(a, b))
    return enter, leave


def _sky(image: Floats, rays: Floats, free: Bools, rng: np.random.Generator) -> None:
    """Paint the sky, in place, where a ray is `free` [M] and rises."""
    rise = rays[:, 1] / np.linalg.norm(rays, axis=1)
    at = np.flatnonzero(free & (rise > 0))
    low, high = _color(rng, 190, 250, 10), np.clip(rng.normal([225, 170, 120], 30), 60, 255)
    image[at] = low + np.clip(rise[at] * 2, 0, 1)[:, None] * (high - low)
