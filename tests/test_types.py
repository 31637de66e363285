"""Shapes in the types of records are those of real arrays, at every station of a frame's way."""

from dataclasses import fields, is_dataclass, replace
from typing import get_type_hints

import jaxtyping
import numpy as np
import pytest

from hmr_ros.api import Person
from hmr_ros.config import HmrConfig
from hmr_ros.evidence.record import Posture
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.types import Frame

NAMES = {name: getattr(jaxtyping, name) for name in ("Float", "UInt8")}


def wrong_arrays(record):
    """Fields of `record`, and of records in it, whose array is not of the declared type and shape."""
    hints = get_type_hints(type(record), localns=NAMES | {"BodyModel": object})
    found = []
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray) and not isinstance(value, hints[field.name]):
            found.append((type(record).__name__, field.name, value.shape, hints[field.name]))
        elif (
            is_dataclass(value) and type(value).__module__.startswith("hmr_ros") and "Body" not in type(value).__name__
        ):
            found += wrong_arrays(value)
    return found


@pytest.fixture(scope="module")
def way(rendered):
    images, _, camera = rendered
    pipeline = build_pipeline(offline(HmrConfig(threads=1), as_live=True))
    frame = Frame(0, 10**9, images[0], camera, depth=np.full(images[0].shape[:2], 3.0, np.float32))
    people = pipeline.observe(frame)
    pipeline.reset()
    return people, pipeline.step(frame), pipeline.body


def test_records_on_the_way(way):
    people, result, body = way
    assert people and result.humans
    assert wrong_arrays(people[0]) == [] and isinstance(people[0].evidence.posture, Posture)
    assert wrong_arrays(result.frame) == []
    person = Person(**{f.name: getattr(result.humans[0], f.name) for f in fields(result.humans[0])}, body=body)
    assert wrong_arrays(person) == []


def test_a_wrong_shape_is_noticed(way):
    frame = way[1].frame
    assert [w[1] for w in wrong_arrays(replace(frame, depth=frame.depth[..., None]))] == ["depth"]
    human = way[1].humans[0]
    for name, value in (("joints", np.zeros((23, 3))), ("betas", np.zeros((1, 10))), ("K", np.zeros((3, 3), int))):
        assert [w[1] for w in wrong_arrays(replace(human, **{name: value}))] == [name]
