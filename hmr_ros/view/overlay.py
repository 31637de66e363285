"""The picture with the recovered people drawn over it."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.body.model import BodyModel
from hmr_ros.types import Floats, Human, Image
from hmr_ros.view.raster import draw_mesh

_MESH_OPACITY = 0.65


def track_color(track_id: int) -> tuple[float, float, float]:
    """BGR colour of an identity: the same for ever, far from its neighbours'."""
    red, green, blue = colorsys.hsv_to_rgb((0.58 + 0.381966 * track_id) % 1.0, 0.55, 1.0)
    return 255 * blue, 255 * green, 255 * red


def draw_humans(image: Image, humans: list[Human], body: BodyModel, mesh: bool = True) -> Image:
    """New picture [H,W,3] with mesh, skeleton, box and id of everybody, far people first."""
    drawn = image.copy()
    for human in sorted(humans, key=lambda h: -h.transl[2]):
        if not (np.isfinite(human.joints).all() and np.isfinite(human.joints_2d).all()):
            continue
        if mesh:
            _draw_body(drawn, human, body)
        _draw_skeleton(drawn, human.joints_2d, track_color(human.track_id))
        _draw_label(drawn, human)
    return drawn


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
    front = vertices[vertices[:, 2] > 0.05]
    if not len(front):
        return 0, 0, 0, 0
    px = (front @ K.T)[:, :2] / front[:, 2:]
    low = np.clip(np.floor(px.min(0)) - 2, 0, [width, height]).astype(int)
    high = np.clip(np.ceil(px.max(0)) + 3, 0, [width, height]).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _draw_skeleton(image: Image, joints_2d: Floats, color: tuple[float, float, float]) -> None:
    thickness = max(1, round(image.shape[1] / 640))
    dark = tuple(0.45 * c for c in color)
    points = np.clip(np.round(joints_2d), -10_000, 10_000).astype(int).tolist()
    for joint, parent in enumerate(SMPL_PARENTS.tolist()):
        if parent >= 0:
            cv2.line(image, points[parent], points[joint], dark, thickness, cv2.LINE_AA)
    for point in points:
        cv2.circle(image, point, thickness + 1, (255, 255, 255), -1, cv2.LINE_AA)


def _draw_label(image: Image, human: Human) -> None:
    x0, y0, x1, y1 = (int(v) for v in human.boxes_xyxy)
    color = track_color(human.track_id)
    scale = max(0.45, image.shape[1] / 1600)
    cv2.rectangle(image, (x0, y0), (x1, y1), color, 1)
    text = f"{human.track_id}  {human.transl[2]:.1f} m"
    origin = (x0 + 3, max(int(22 * scale), y0 - 5))
    cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, color, 1, cv2.LINE_AA)
