"""The loop learns, its curve holds means, and a resumed run is the unbroken one."""

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


def test_every_row_is_the_mean_of_its_own_steps(tmp_path):
    model, prepare, _, validate = problem()
    losses = []

    def step(net, x):
        losses.append(len(losses) + 1.0)
        return {"counted": losses[-1] + 0 * net(x).sum()}

    train(model, prepare, step, validate, Schedule(tmp_path, 25, every=10))
    rows = [line.split(",") for line in (tmp_path / "curve.csv").read_text().splitlines()[1:]]
    assert [int(row[0]) for row in rows] == [10, 20, 25]
    assert [float(row[2]) for row in rows] == [5.5, 15.5, 23.0]


@pytest.mark.parametrize("stop", [5, 20, 25, 39])
def test_a_resumed_run_is_the_unbroken_one(tmp_path, stop):
    """Bit for bit, dropout and statistics of normalisation included."""

    def network():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.5), torch.nn.Linear(3, 1))

    _, prepare, step, validate = problem()
    schedule = {"learning_rate": 0.05, "every": 20}
    whole = train(network(), prepare, step, validate, Schedule(tmp_path / "whole", 40, **schedule))
    calls = 0

    def interrupted(net, x):
        nonlocal calls
        calls += 1
        if calls > stop:
            raise KeyboardInterrupt
        return step(net, x)

    with pytest.raises(KeyboardInterrupt):
        train(network(), prepare, interrupted, validate, Schedule(tmp_path / "parts", 40, **schedule))
    again = train(network(), prepare, step, validate, Schedule(tmp_path / "parts", 40, **schedule))
    for name, value in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    whole_curve, parts_curve = (
        [line.split(",")[0::2] for line in (tmp_path / name / "curve.csv").read_text().splitlines()]
        for name in ("whole", "parts")
    )
    assert whole_curve == parts_curve


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
