"""Boxes of people out of the messages of other detectors."""

from types import SimpleNamespace as Message

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmr_ros.io.detections import boxes_of, class_names

PERSON = class_names("person")


def roi(x, y, width, height, score=0.9):
    return Message(x=x, y=y, width=width, height=height, score=score)


def detection(*hypotheses, box=(100.0, 50.0, 40.0, 80.0), theta=0.0, flat=False):
    place = {"x": box[0], "y": box[1]}
    center = Message(**place, theta=theta) if flat else Message(position=Message(**place), theta=theta)
    results = [Message(hypothesis=Message(class_id=name, score=score)) for name, score in hypotheses]
    return Message(results=results, bbox=Message(center=center, size_x=box[2], size_y=box[3]))


def detections(*rows):
    return Message(detections=list(rows))


def test_a_roi_is_its_corners_and_one_without_score_is_sure():
    boxes, odd = boxes_of(Message(rois=[roi(10, 20, 30, 40, 0.7), roi(1, 2, 3, 4, 0.0)]), PERSON)
    np.testing.assert_allclose(boxes, [[10, 20, 40, 60, 0.7], [1, 2, 4, 6, 1.0]])
    assert not odd


@pytest.mark.parametrize("flat", [False, True])
def test_a_detection_is_a_person_by_its_likeliest_class(flat):
    rows = [
        detection(("dog", 0.3), ("Person ", 0.6), flat=flat),
        detection(("dog", 0.8), ("person", 0.6), flat=flat),
        detection(("", 0.5), flat=flat),
        detection(flat=flat),
    ]
    boxes, odd = boxes_of(detections(*rows), PERSON)
    np.testing.assert_allclose(boxes[:, :4], [[80, 10, 120, 90]] * 3)
    assert boxes[:, 4].tolist() == [0.6, 0.5, 1.0] and not odd


def test_where_nobody_has_the_class_it_is_said_which_there_are():
    boxes, odd = boxes_of(detections(detection(("0", 0.9)), detection(("56", 0.9))), PERSON)
    assert boxes.shape == (0, 5) and odd == "boxes are of class '0', '56', none of person: set input.detections_classes"
    assert len(boxes_of(detections(detection(("0", 0.9))), class_names("0, pedestrian"))[0]) == 1


@given(st.floats(-7, 7), st.floats(1, 500), st.floats(1, 500))
def test_a_turned_box_is_inside_the_upright_one(theta, width, height):
    boxes, _ = boxes_of(detections(detection(box=(300.0, 200.0, width, height), theta=theta)), PERSON)
    c, s = np.cos(theta), np.sin(theta)
    corners = [
        [300, 200] + np.array([[c, -s], [s, c]]) @ [a * width / 2, b * height / 2] for a in (-1, 1) for b in (-1, 1)
    ]
    np.testing.assert_allclose(boxes[0, :4], np.r_[np.min(corners, 0), np.max(corners, 0)], atol=1e-6)


@given(st.lists(st.tuples(*[st.floats(width=32)] * 5), max_size=8))
def test_whatever_a_detector_says_boxes_have_an_area_and_scores_are_shares(rows):
    boxes, _ = boxes_of(Message(rois=[roi(*row) for row in rows]), PERSON)
    assert boxes.shape[1] == 5 and np.isfinite(boxes).all()
    assert (boxes[:, 2:4] > boxes[:, :2]).all() and ((boxes[:, 4] >= 0) & (boxes[:, 4] <= 1)).all()
