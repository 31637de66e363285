"""The image with the recovered people drawn over it."""

from __future__ import annotations

import cv2
import numpy as np

from hmr_ros.body.model import BodyModel
from hmr_ros.types import Floats, Human, Image
from hmr_ros.view.raster import draw_mesh, pixels_in_front
from hmr_ros.view.skeleton import draw_ellipses, draw_hypotheses, draw_skeleton, pixels, track_color

_MESH_OPACITY = 0.65
_SEEN = 0.5  # landmarks below this confidence are not drawn


def draw_humans(
    image: Image, humans: list[Human], body: BodyModel, mesh: bool = True, boxes: bool = True, landmarks: bool = False,
    uncertainty: str = "none",
) -> Image:  # fmt: skip
    """New image [H,W,3] with mesh, skeleton, box and id of everybody, far people first.

    `landmarks` adds what BlazePose saw, `uncertainty` the ellipses that hold each joint with 95 %, or the hypotheses as
    faint skeletons. Of people partly behind the camera the part in front is drawn; people wholly
    behind it, or with parameters that are not finite, are left out.
    """
    drawn = image.copy()
    for human in sorted(filter(_is_drawable, humans), key=lambda h: -h.transl[2]):
        if mesh:
            _draw_body(drawn, human, body)
        draw_skeleton(drawn, human.joints_2d, track_color(human.track_id))
        if landmarks:
            _draw_landmarks(drawn, human.keypoints_2d)
        if uncertainty == "ellipses":
            draw_ellipses(drawn, human)
        elif uncertainty == "hypotheses":
            drawn = draw_hypotheses(drawn, human)
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


def _draw_landmarks(image: Image, keypoints_2d: Floats) -> None:
    seen = np.where(keypoints_2d[:, 2:] >= _SEEN, keypoints_2d[:, :2], np.nan)
    for point in pixels(seen).values():
        cv2.circle(image, point, max(1, round(image.shape[1] / 640)), (0, 255, 255), -1, cv2.LINE_AA)


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
