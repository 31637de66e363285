"""The fit finds the weights that made the data."""

import fit_crop_check
import numpy as np


def test_weights_come_back_and_say_who_is_right():
    rng = np.random.default_rng(0)
    features = np.c_[np.ones(4000), rng.normal(1.0, [1.0, 0.5, 0.05, 0.03, 0.1], (4000, 5))]
    true = np.array([3.0, 0.4, 2.0, -20.0, 10.0, 5.0])
    good = rng.random(4000) < 1 / (1 + np.exp(-(features - features.mean(0)) @ true))
    image = np.arange(4000) % 37
    found = fit_crop_check.fitted(features, good)
    assert np.corrcoef(features @ found, features @ true)[0, 1] > 0.95
    held = fit_crop_check.cross_validated(features, good, image)
    assert ((held > 0) == good).mean() > 0.65
    assert not np.allclose(held, features @ found)  # no row judges itself
