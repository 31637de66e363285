"""The image with the recovered people drawn over it."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.body.model import BodyModel
from hmr_ros.types import Floats, Human, Image
from hmr_ros.view.raster import draw_mesh, pixels_in_front

_MESH_OPACITY = 0.65
_SEEN = 0.5  # landmarks below this confidence are not drawn


def track_color(track_id: int) -> tuple[float, float, float]:
    """BGR colour of an identity: the same for ever, far from its neighbours'."""
    red, green, blue = colorsys.hsv_to_rgb((0.58 + 0.381966 * track_id) % 1.0, 0.55, 1.0)
    return 255 * blue, 255 * green, 255 * red


def draw_humans(
    image: Image, humans: list[Human], body: BodyModel, mesh: bool = True, boxes: bool = True, landmarks: bool = False
) -> Image:
    """New image [H,W,3] with mesh, skeleton, box and id of everybody, far people first.

    `landmarks` adds what BlazePose saw. Of people partly behind the camera the part in front is drawn; people wholly
    behind it, or with parameters that are not finite, are left out.
    """
    drawn = image.copy()
    for human in sorted(filter(_is_drawable, humans), key=lambda h: -h.transl[2]):
        if mesh:
            _draw_body(drawn, human, body)
        _draw_skeleton(drawn, human.joints_2d, track_color(human.track_id))
        if landmarks:
            _draw_landmarks(drawn, human.keypoints_2d)
        if np.isfinite(human.boxes_xyxy).all():
            _draw_label(drawn, human, boxes)
    return drawn


def _is_drawable(human: Human) -> bool:
    known = (human.joints, human.global_orient, human.body_pose, human.betas, human.transl, human.K)
    return all(bool(np.isfinite(value).all()) for value in known) and bool((human.joints[:, 2] > 0).any())


def _draw_body(image: Image, human: Human, body: BodyModel) -> None:
    vertices = body.vertices(human.global_orient, human.body_pose, human.betas, human.transl)
    x0, y0, x1, y1 = _window(vertices, human.K, image.shape[1], image.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    K = human.K.copy()
    K[:2, 2] -= (x0, y0)  # draw only where the body is
    part = image[y0:y1, x0:x1]
    colors = np.tile(track_color(human.track_id), (len(body.faces), 1))
    painted = draw_mesh(part.copy(), vertices, body.faces, K, colors)
    image[y0:y1, x0:x1] = cv2.addWeighted(painted, _MESH_OPACITY, part, 1 - _MESH_OPACITY, 0)


def _window(vertices: Floats, K: Floats, width: int, height: int) -> tuple[int, int, int, int]:
    px = pixels_in_front(vertices, K)
    px = px[np.isfinite(px[:, 0])]
    if not len(px):
        return 0, 0, 0, 0
    low = np.clip(np.floor(px.min(0)) - 2, 0, [width, height]).astype(int)
    high = np.clip(np.ceil(px.max(0)) + 3, 0, [width, height]).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _draw_skeleton(image: Image, joints_2d: Floats, color: tuple[float, float, float]) -> None:
    thickness = max(1, round(image.shape[1] / 640))
    dark = tuple(0.45 * c for c in color)
    points = _pixels(joints_2d)
    for joint, parent in enumerate(SMPL_PARENTS.tolist()):
        if parent in points and joint in points:
            cv2.line(image, points[parent], points[joint], dark, thickness, cv2.LINE_AA)
    for point in points.values():
        cv2.circle(image, point, thickness + 1, (255, 255, 255), -1, cv2.LINE_AA)


def _draw_landmarks(image: Image, keypoints_2d: Floats) -> None:
    seen = np.where(keypoints_2d[:, 2:] >= _SEEN, keypoints_2d[:, :2], np.nan)
    for point in _pixels(seen).values():
        cv2.circle(image, point, max(1, round(image.shape[1] / 640)), (0, 255, 255), -1, cv2.LINE_AA)


def _pixels(points_px: Floats) -> dict[int, tuple[int, int]]:
    """Points [N,2] px that exist (NaN: behind the camera), by their index, near enough for OpenCV's integers."""
    known = np.flatnonzero(np.isfinite(points_px).all(-1))
    rounded = np.clip(np.round(points_px[known]), -10_000, 10_000).astype(int)
    return {i: (x, y) for i, (x, y) in zip(known.tolist(), rounded.tolist(), strict=True)}


def _draw_label(image: Image, human: Human, box: bool) -> None:
    x0, y0, x1, y1 = np.clip(human.boxes_xyxy, -10_000, 10_000).astype(int).tolist()
    color = track_color(human.track_id)
    scale = max(0.45, image.shape[1] / 1600)
    if box:
        cv2.rectangle(image, (x0, y0), (x1, y1), color, 1)
    text = f"{human.track_id}  {human.transl[2]:.1f} m"
    origin = (x0 + 3, max(int(22 * scale), y0 - 5))
    cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, color, 1, cv2.LINE_AA)
