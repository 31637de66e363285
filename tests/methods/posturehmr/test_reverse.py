"""The reverse process with a decoder that knows the way."""

import pytest
import torch

from hmr_ros.methods.posturehmr.reverse import reverse, step_times


@pytest.mark.parametrize("steps", [1, 2, 4, 10])
def test_times_run_from_the_t_pose_to_the_person(steps):
    times = step_times(steps)
    assert len(times) == steps + 1
    assert (times[0], times[-1]) == (1.0, 0.0)
    assert sorted(times, reverse=True) == times


@pytest.mark.parametrize("steps", [1, 2, 4, 10])
def test_an_exact_decoder_arrives_whatever_the_step_count(steps):
    template, person = torch.randn(3, 81, 3), torch.randn(3, 81, 3)

    def decoder(x, t, s):
        assert (t > s).all()
        truth = person + s[:, None, None] * (template - person)
        return truth - x, x[..., 0] * 0 + s[:, None]

    found, log_sigma = reverse(decoder, template, step_times(steps))
    torch.testing.assert_close(found, person)
    assert (log_sigma == 0).all()
