"""LiteRT models with outputs cut off."""

import numpy as np
import pytest

from hmr_ros.errors import AssetError
from hmr_ros.io.model_store import blazepose_models
from hmr_ros.runtime.litert import LiteRtModel

_CUT = "Identity_2"  # the landmark network's segmentation


def test_what_is_left_says_the_same():
    path = blazepose_models().landmarks
    image = np.random.default_rng(0).random((1, 256, 256, 3), np.float32)
    whole, rest = LiteRtModel(path, 1)(image), LiteRtModel(path, 1, frozenset({_CUT}))(image)
    assert set(whole) - set(rest) == {_CUT}
    for name, value in rest.items():
        np.testing.assert_array_equal(value, whole[name])


def test_a_damaged_model_is_refused_with_the_cure(tmp_path):
    damaged = tmp_path / "model.tflite"
    damaged.write_bytes(blazepose_models().landmarks.read_bytes()[:1000])
    for without in (frozenset(), frozenset({_CUT})):
        with pytest.raises(AssetError, match="delete it"):
            LiteRtModel(damaged, 1, without)
