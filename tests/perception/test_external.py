"""People come from boxes that are given with the frames, and from nowhere else."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from hmr_ros.config import DetectorConfig, HmrConfig, with_values
from hmr_ros.errors import ConfigError
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.io.video import open_source
from hmr_ros.perception.detector import Window
from hmr_ros.perception.external import ExternalFinder
from hmr_ros.perception.finders import build_finder, settled
from hmr_ros.perception.search import Search, whole
from hmr_ros.types import Frame

EXTERNAL = with_values(HmrConfig(recover="kinematic", refine="none", threads=1), {"detector.kind": "external"})
IMAGE = np.zeros((480, 640, 3), np.uint8)


@pytest.fixture(scope="module")
def pipeline():
    return build_pipeline(EXTERNAL)


@pytest.fixture(autouse=True)
def forget(pipeline):
    pipeline.reset()


@pytest.fixture(scope="module")
def seen(rendered):
    """An image, its camera and the box [4] of the person in it."""
    images, truths, camera = rendered
    low, high = truths[0].joints_2d.min(0), truths[0].joints_2d.max(0)
    margin = 0.08 * (high - low).max()
    return images[0], camera, np.r_[low - margin, high + margin]


def shown(pipeline, image, camera, boxes, count=4):
    """Who is answered in the last of `count` equal frames."""
    for i in range(count):
        frame = Frame(i, i * 33_000_000, image, camera, boxes=boxes)
        result = pipeline.step(frame)
        pipeline.search(frame)
    return result.humans


def boxes(*rows):
    return np.array(rows, float).reshape(-1, 5)


def test_somebody_in_a_box_is_found_and_without_one_nobody(pipeline, seen):
    image, camera, box = seen
    assert not shown(pipeline, image, camera, None) and not shown(pipeline, image, camera, boxes())
    (human,) = shown(pipeline, image, camera, boxes([*box, 0.9]))
    assert np.abs(human.boxes_xyxy - box).max() < 0.15 * (box[3] - box[1])


def test_a_box_with_nobody_in_it_is_nobody(pipeline, seen):
    image, camera, _ = seen
    assert not shown(pipeline, np.full_like(image, 120), camera, boxes([50, 50, 150, 300, 0.99]), 8)


def test_boxes_below_the_score_wait_until_it_is_lowered(pipeline, seen):
    image, camera, box = seen
    given = boxes([*box, 0.3])
    assert not shown(pipeline, image, camera, given)
    pipeline.adjust(with_values(EXTERNAL, {"detector.min_score": 0.2}))
    try:
        assert shown(pipeline, image, camera, given)
    finally:
        pipeline.adjust(EXTERNAL)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_boxes_of_a_camera_on_its_side_are_those_of_its_own_images(seen, degrees):
    """Boxes belong to the image as it is published; perception sees it upright."""
    image, _, box = seen
    image = np.hstack([np.full((360, 720, 3), 120, np.uint8), image])  # not in the middle
    box = np.add(box, [720, 0, 720, 0])
    camera = guess_camera(*image.shape[1::-1])
    turned = build_pipeline(with_values(EXTERNAL, {"input.rotate": degrees}))
    back = turned.turn.back
    height, width = image.shape[:2]
    corners = back.pixels(box.reshape(2, 2), width, height)
    mounted = np.r_[corners.min(0), corners.max(0)]
    sideways = back.frame(Frame(0, 0, image, camera)).image
    assert not shown(turned, sideways, back.camera(camera), boxes([*box, 0.9]))
    turned.reset()
    (human,) = shown(turned, sideways, back.camera(camera), boxes([*mounted, 0.9]))
    assert np.abs(human.boxes_xyxy - mounted).max() < 0.15 * (box[3] - box[1])


def test_somebody_who_lies_is_found_within_some_looks(pipeline, seen):
    image, _, (x0, y0, x1, y1) = seen
    lying = np.ascontiguousarray(cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE))
    height = image.shape[0]
    box = [height - 1 - y1, x0, height - 1 - y0, x1]
    assert shown(pipeline, lying, guess_camera(*lying.shape[1::-1]), boxes([*box, 0.9]), 120)


def test_a_box_of_the_upper_half_is_enough(pipeline, shared):
    frame = next(iter(open_source(str(shared / "footage/upper_body_indoor.mp4"), None)))
    whole_body = build_pipeline(offline(replace(EXTERNAL, detector=DetectorConfig())))
    (reference,) = whole_body.step(frame).humans
    marked = [520, 0, 1010, 719]  # all that is seen of him, down to the image's border, as detectors give it
    (human,) = shown(pipeline, frame.image, frame.camera, boxes([*marked, 0.9]))
    size = reference.boxes_xyxy[3] - reference.boxes_xyxy[1]
    nose = human.keypoints_2d[0, :2] - reference.keypoints_2d[0, :2]
    assert np.linalg.norm(nose) < 0.1 * size


def test_boxes_of_large_images_are_in_their_pixels(pipeline, seen):
    image, _, box = seen
    large = np.full((2400, 3200, 3), 120, np.uint8)
    large[1900:2260, 2700:3180] = image
    given = boxes([*np.add(box, [2700, 1900, 2700, 1900]), 0.9])
    (human,) = shown(pipeline, large, guess_camera(3200, 2400), given)
    assert np.abs(human.boxes_xyxy - given[0, :4]).max() < 0.15 * (box[3] - box[1])


def test_a_finder_proposes_what_lies_in_the_window_best_first():
    finder = ExternalFinder(0.5)
    finder.boxes = boxes(
        [100, 100, 150, 250, 0.6], [400, 100, 460, 260, 0.8], [0, 0, 10, 20, 0.4],
        [300, 300, 250, 400, 0.9], [np.nan, 0, 10, 10, 0.9],
    )  # fmt: skip
    everybody = finder(IMAGE, whole(640, 480))
    assert [d.score for d in everybody] == [0.8, 0.6] and all(d.roi.angle_rad == 0 for d in everybody)
    assert [d.score for d in finder(IMAGE, Window(0, 0, 300))] == [0.6]


def test_every_frame_is_searched_and_no_tiles():
    config = settled(DetectorConfig(kind="external", tile_fractions="0.5"))
    search = Search(config)
    for stamp in range(0, 10**9, 33_000_000):
        assert search.windows(640, 480, stamp, idle=False) == [whole(640, 480)]


def test_files_have_no_boxes_and_say_so():
    assert isinstance(build_finder(EXTERNAL.detector, 1), ExternalFinder)
    with pytest.raises(ConfigError, match=r"detector\.kind is external: boxes come from a topic"):
        offline(EXTERNAL)
