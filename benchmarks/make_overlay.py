"""Make docs/overlay.jpg: rendered people above, what the pipeline recovers from the images below."""

from pathlib import Path

import cv2
import numpy as np

from hmr_ros.body.loading import load_body
from hmr_ros.config import HmrConfig
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import render_motion
from hmr_ros.synth.scene import look_at
from hmr_ros.types import Frame
from hmr_ros.view.overlay import draw_humans

SHOWN = (12, 40, 150, 205, 270)  # frames of the demo motion


def main() -> None:
    """Run the pipeline over the demo motion and keep some of its frames."""
    body, camera = load_body(), guess_camera(640, 480)
    view = look_at(camera, np.array([0.3, 1.1, 2.9]), np.array([0.3, 0.95, 0.0]))
    pipeline = build_pipeline(offline(HmrConfig()))
    columns = []
    images = (image for image, _ in render_motion(demo_motion(), body, view, seed=3))
    frames = (Frame(i, round(i * 1e9 / 30), image, camera) for i, image in enumerate(images))
    for result in pipeline.results(frames):
        if result.frame.index in SHOWN:
            both = [result.frame.image, draw_humans(result.frame.image, result.humans, body)]
            columns.append(np.vstack([image[:, 110:530] for image in both]))
    cv2.imwrite(str(Path(__file__).parents[1] / "docs/overlay.jpg"), np.hstack(columns), [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
