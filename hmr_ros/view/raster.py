"""Draws triangle meshes into images: painter's algorithm on OpenCV's polygon filler, no GPU, no window.

Depth images are exact and come from a z-buffer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from hmr_ros.types import Floats, Image, Ints

_NEAR_M = 0.05
_SHIFT = 4  # sub-pixel bits of OpenCV's fixed-point coordinates
_LIMIT_PX = 20_000  # fixed-point coordinates stay far from overflow
_AMBIENT = 0.35
_AT_ONCE = 1 << 18  # pixels of faces' boxes; a close person has tens of millions in all


def draw_mesh(
    image: Image, vertices: Floats, faces: Ints, K: Floats, colors: Floats, light: Floats | None = None
) -> Image:
    """Paint a closed mesh over `image` [H,W,3] in place and return it.

    `vertices` [V,3] m in the camera frame, `faces` [F,3] counter-clockwise from outside, `colors` [F,3] BGR 0..255,
    `light` [3] direction towards the light in the camera frame (default: from the camera). Faces that are turned away,
    lie outside the image or reach behind the near plane are left out.
    """
    order, points = _visible(vertices, faces, K, image.shape[1], image.shape[0])
    shaded = colors[order] * _shading(vertices[faces[order]], light)[:, None]
    polygons = np.round(points * (1 << _SHIFT)).astype(np.int32)
    for polygon, color in zip(polygons, np.clip(shaded, 0, 255).tolist(), strict=True):
        cv2.fillConvexPoly(image, polygon, color, cv2.LINE_8, _SHIFT)
    return image


def mesh_mask(vertices: Floats, faces: Ints, K: Floats, width: int, height: int) -> Image:
    """Silhouette [H,W], 255 on the body."""
    mask = np.zeros((height, width), np.uint8)
    _, points = _visible(vertices, faces, K, width, height)
    for polygon in np.round(points * (1 << _SHIFT)).astype(np.int32):
        cv2.fillConvexPoly(mask, polygon, (255.0,), cv2.LINE_8, _SHIFT)
    return mask


def mesh_depth(vertices: Floats, faces: Ints, K: Floats, width: int, height: int) -> Floats:
    """Distance along the optical axis [H,W] m of the nearest face at each pixel's centre, NaN where there is none.

    Arguments and the faces that are left out as in `draw_mesh`; z is exact, not one number a face.
    """
    order, corners = _visible(vertices, faces, K, width, height)
    low = np.ceil(np.maximum(corners.min(1), 0)).astype(int)
    high = np.floor(np.minimum(corners.max(1), [width - 1, height - 1])).astype(int)
    spans = np.maximum(high - low + 1, 0)
    counts = spans.prod(1)
    face = np.repeat(np.arange(len(order)), counts)  # one row a face and pixel of its bounding box
    place = np.arange(len(face)) - np.repeat(np.cumsum(counts) - counts, counts)
    x, y = low[face, 0] + place % spans[face, 0], low[face, 1] + place // spans[face, 0]
    weights = _barycentric(corners[face], np.stack([x, y], 1))
    inside = (weights > -1e-9).all(1)  # a pixel on a common edge belongs to both faces
    inverse = (weights * (1 / vertices[faces[order], 2])[face]).sum(1)[inside]  # 1/z is linear in the image
    nearest = np.zeros(height * width)
    np.maximum.at(nearest, y[inside] * width + x[inside], inverse)
    with np.errstate(divide="ignore"):
        return np.where(nearest > 0, 1 / nearest, np.nan).reshape(height, width)


def fragments(points: Floats, near: Floats, faces: Ints, width: int, height: int) -> tuple[Ints, Ints, Floats, Floats]:
    """What is nearest at each pixel's centre: indices [M] into the flat image, faces [M], weights [M,3] of the faces'
    corners in the image, and `near` [M] there; float32.

    `points` [V,2] px, float32; `near` [V] > 0 is linear in the image and larger for what is nearer: 1/z of a pinhole
    camera. `faces` [F,3] are drawn whichever way they look.
    """
    i, j, k = faces.T
    x, y = np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])
    ax, bx, cx, ay, by, cy = x[i], x[j], x[k], y[i], y[j], y[k]
    left, wide = _span(ax, bx, cx, width)
    top, tall = _span(ay, by, cy, height)
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    kept = np.flatnonzero((wide > 0) & (tall > 0) & (np.abs(area) > 1e-6))
    left, wide, top, tall, area = left[kept], wide[kept], top[kept], tall[kept], area[kept]
    # the weights of two corners, and so `near`, are planes over the image; here at a face's first pixel
    b_x, b_y, c_x, c_y = (cy - ay)[kept] / area, (ax - cx)[kept] / area, (ay - by)[kept] / area, (bx - ax)[kept] / area
    to_x, to_y = left.astype(np.float32) - ax[kept], top.astype(np.float32) - ay[kept]
    planes = ((b_x * to_x + b_y * to_y, b_x, b_y), (c_x * to_x + c_y * to_y, c_x, c_y))
    near = near.astype(np.float32)
    na, nb, nc = near[i[kept]], near[j[kept]], near[k[kept]]
    nearest = np.zeros(width * height, np.int64)
    for first, last in _portions(wide * tall):
        row, across, down = _boxed(first, wide[first:last], tall[first:last])
        wb, wc = _on_planes(planes, row, across, down)
        inside = np.flatnonzero((wb > -1e-4) & (wc > -1e-4) & (wb + wc < 1 + 1e-4))
        row, wb, wc = row[inside], wb[inside], wc[inside]
        pixel = (top[row] + down[inside]) * np.int64(width) + left[row] + across[inside]
        total = na[row] + wb * (nb - na)[row] + wc * (nc - na)[row]
        # positive floats are ordered as their bits are; the bits below say whose it is
        np.maximum.at(nearest, pixel, total.view(np.int32).astype(np.int64) << 32 | row)
    filled = np.flatnonzero(nearest)
    nearest = nearest[filled]
    won, total = nearest.astype(np.int32), (nearest >> 32).astype(np.int32).view(np.float32)  # the bits below and above
    down, across = np.divmod(filled.astype(np.int32), np.int32(width))
    wb, wc = _on_planes(planes, won, across - left[won], down - top[won])
    return filled, kept[won], np.stack([1 - wb - wc, wb, wc], 1), total


def _portions(counts: Ints) -> Iterator[tuple[int, int]]:
    """First and last row of portions whose counts [N] add up to no more than `_AT_ONCE`, or that are one row."""
    ends = np.cumsum(counts, dtype=np.int64)
    first = 0
    while first < len(ends):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + _AT_ONCE, "right")))
        yield first, last
        first = last


def _boxed(first: int, wide: Ints, tall: Ints) -> tuple[Ints, Ints, Ints]:
    """Every pixel [P] of the boxes of faces `first` and on: its face, and how far it lies from the box's first."""
    counts = wide * tall
    row = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    start = (np.cumsum(counts) - counts).astype(np.int32)
    down, across = np.divmod(np.arange(len(row), dtype=np.int32) - start[row], wide[row])
    return row + np.int32(first), across, down


def _on_planes(planes: Sequence[tuple[Floats, Floats, Floats]], row: Ints, across: Ints, down: Ints) -> list[Floats]:
    """Values [P] of planes (at the first pixel of a face [F], a step to the right, a step down) of the faces `row`."""
    dx, dy = across.astype(np.float32), down.astype(np.float32)
    return [at[row] + to_right[row] * dx + below[row] * dy for at, to_right, below in planes]


def _span(a: Floats, b: Floats, c: Floats, size: int) -> tuple[Ints, Ints]:
    """First pixel and number of pixels of each triangle along one side of the image."""
    low = np.ceil(np.maximum(np.minimum(np.minimum(a, b), c), 0)).astype(np.int32)
    high = np.floor(np.minimum(np.maximum(np.maximum(a, b), c), size - 1)).astype(np.int32)
    return low, np.maximum(high - low + 1, 0)


def _barycentric(corners: Floats, points: Floats) -> Floats:
    """Weights [N,3] of corners [N,3,2] px at points [N,2] px."""
    a, b, p = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], points - corners[:, 0]
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    v = (p[:, 0] * b[:, 1] - p[:, 1] * b[:, 0]) / area
    w = (a[:, 0] * p[:, 1] - a[:, 1] * p[:, 0]) / area
    return np.stack([1 - v - w, v, w], 1)


def pixels_in_front(vertices: Floats, K: Floats) -> Floats:
    """Vertices [V,3] m -> [V,2] px, NaN where they do not lie before the near plane."""
    z = vertices[:, 2]
    with np.errstate(all="ignore"):
        return np.asarray((vertices @ K.T)[:, :2] / np.where(z > _NEAR_M, z, np.nan)[:, None])


def _visible(vertices: Floats, faces: Ints, K: Floats, width: int, height: int) -> tuple[Ints, Floats]:
    """Indices of the faces to paint, far ones first, and their corners [N,3,2] px."""
    px = pixels_in_front(vertices, K)
    x, y, z = (np.ascontiguousarray(column) for column in (px[:, 0], px[:, 1], vertices[:, 2]))
    i, j, k = faces.T
    xi, yi = x[i], y[i]
    with np.errstate(invalid="ignore"):
        facing = np.flatnonzero((x[j] - xi) * (y[k] - yi) - (y[j] - yi) * (x[k] - xi) < 0)  # image y points down
    corners = [a[facing] for a in (i, j, k)]
    inside = np.ones(len(facing), bool)
    for along, side in ((x, width), (y, height)):
        a, b, c = (along[corner] for corner in corners)
        low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
        inside &= (high > 0) & (low < side) & (low > -_LIMIT_PX) & (high < _LIMIT_PX)
    i, j, k = (corner[inside] for corner in corners)
    order = facing[inside][np.argsort(-(z[i] + z[j] + z[k]), kind="stable")]
    return order, px[faces[order]]


def _shading(triangles: Floats, light: Floats | None) -> Floats:
    """Lambert factor [N] of triangles [N,3,3]."""
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    direction = np.array([0.0, 0.0, -1.0]) if light is None else light / np.linalg.norm(light)
    return _AMBIENT + (1 - _AMBIENT) * np.clip(normals @ direction, 0, 1)
