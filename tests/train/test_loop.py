"""The loop learns, and a resumed run is the unbroken one."""

import pytest
import torch

from hmr_ros.errors import ConfigError, InputError
from hmr_ros.train.loop import Schedule, train


def problem():
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)

    def prepare(rng):
        return torch.as_tensor(rng.normal(size=(16, 3)), dtype=torch.float32)

    def step(net, x):
        return {"square": (net(x) - x.sum(1, keepdim=True)).square().mean()}

    def validate(net):
        x = torch.eye(3)
        with torch.no_grad():
            return {"val": float((net(x) - 1).square().mean())}

    return model, prepare, step, validate


def run(out, steps):
    model, prepare, step, validate = problem()
    return train(model, prepare, step, validate, Schedule(out, steps, learning_rate=0.05, every=20))


def test_it_learns_and_writes_a_curve(tmp_path):
    *_, validate = problem()
    trained = run(tmp_path, 400)
    assert validate(trained)["val"] < 0.01
    lines = (tmp_path / "curve.csv").read_text().splitlines()
    assert lines[0].split(",") == ["step", "seconds", "square", "val"]
    assert lines[-1].startswith("400,")


def test_a_resumed_run_equals_an_unbroken_one(tmp_path):
    whole = run(tmp_path / "whole", 40)
    model, prepare, step, validate = problem()
    stopped = 0

    def interrupted(net, x):
        nonlocal stopped
        stopped += 1
        if stopped > 25:
            raise KeyboardInterrupt
        return step(net, x)

    with pytest.raises(KeyboardInterrupt):
        train(model, prepare, interrupted, validate, Schedule(tmp_path / "parts", 40, learning_rate=0.05, every=20))
    again = run(tmp_path / "parts", 40)
    torch.testing.assert_close(again.weight, whole.weight)


def test_a_foreign_checkpoint_is_refused(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"")
    with pytest.raises(InputError, match="remove it"):
        run(tmp_path, 20)


def test_the_average_knows_the_statistics_of_normalisation(tmp_path):
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1))
    _, _, step, validate = problem()

    def prepare(rng):
        return torch.as_tensor(rng.normal(5.0, 2.0, size=(256, 3)), dtype=torch.float32)

    trained = train(model, prepare, step, validate, Schedule(tmp_path, 150, learning_rate=0.05, every=50))
    torch.testing.assert_close(trained[0].running_mean, torch.full((3,), 5.0), atol=0.3, rtol=0)
    torch.testing.assert_close(trained[0].running_var, torch.full((3,), 4.0), atol=0.5, rtol=0)


def test_bad_numbers(tmp_path):
    with pytest.raises(ConfigError, match="--steps"):
        run(tmp_path, 0)
