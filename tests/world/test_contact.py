"""When feet stand."""

import numpy as np
import pytest

from hmr_ros.world.contact import contact_rule, true_contacts

STEPS = np.repeat(np.arange(5), 24)  # a stance of 0.8 s


def stepping(rise=0.0):
    """Two feet that step forward in turn by 0.6 m, [120,4,3] m, and which of them stands; each step `rise` m higher."""
    F = len(STEPS)
    points, stands = np.zeros((F, 4, 3)), np.zeros((F, 2), bool)
    for foot in range(2):
        for f in range(F):
            step, phase = STEPS[f], (f % 24) / 24
            swings = step % 2 == foot
            before = (step + (1 - foot)) // 2 if not swings else (step - foot) // 2
            share = 0.5 - 0.5 * np.cos(np.pi * phase) if swings else 0.0
            x = 1.2 * (before + share)
            z = rise * (before + share) + (0.15 * np.sin(np.pi * phase) if swings else 0.0)
            points[f, 2 * foot] = x, 0.1 * foot, z
            points[f, 2 * foot + 1] = x + 0.15, 0.1 * foot, z
            stands[f, foot] = not swings
    return points, stands


def feet(contacts):
    return (contacts > 0.5).reshape(-1, 2, 2).any(-1)


def f1(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("causal", [False, True])
def test_feet_that_step_in_turn(causal):
    points, stands = stepping()
    found = feet(contact_rule(causal)(points, np.tile([0.0, 1.0], (len(points), 1))))
    assert f1(found, stands) > 0.9
    assert f1(feet(true_contacts(points, 30.0).astype(float)), stands) > 0.9


def test_stairs_are_stood_on():
    points, stands = stepping(rise=0.17)
    found = feet(contact_rule()(points, np.tile([0.0, 1.0], (len(points), 1))))
    assert f1(found, stands) > 0.8


def test_nobody_stands_in_the_air():
    """A jump of half a second, from and to both feet."""
    seconds = np.arange(60) / 30
    height = np.where(np.abs(seconds - 1) < 0.25, 0.5 * 9.81 * (0.25**2 - (seconds - 1) ** 2), 0.0)
    points = np.zeros((60, 4, 3))
    points[..., 2] = height[:, None]
    points[..., 0] = [0, 0.15, 0, 0.15]
    sight = np.tile([1.0, 0.0], (60, 1))
    for found in (contact_rule()(points, sight) > 0.5, true_contacts(points, 30.0)):
        assert not found[height > 0.22].any()
        assert found[:15].all() and found[-10:].all()


def test_who_sits_with_feet_in_the_air_stands_on_nothing():
    """Feet that swing beneath a stool; the lowest place that they reach is no ground that they stand on."""
    seconds = np.arange(90) / 30
    points = np.zeros((90, 4, 3))
    points[..., 0] = np.r_[0, 0.15, 0, 0.15] + 0.25 * np.sin(2 * np.pi * seconds)[:, None]
    points[..., 2] = 0.4 + 0.1 * np.cos(2 * np.pi * seconds)[:, None]
    assert (contact_rule()(points, np.tile([0.0, 1.0], (90, 1))) > 0.5).mean() < 0.3
