"""A few hundred cases for every reader; `python benchmarks/fuzz.py` runs as many as one likes."""

import numpy as np
import pytest
from fuzz import READERS, Fuzz, damaged, run

CASES = {"recordings": 60, "yaml_files": 150}  # the slow ones


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory):
    return Fuzz(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", READERS)
def test_input_is_read_or_refused_in_one_line(reader, fuzz):
    count = CASES.get(reader, 300)
    ended = run(reader, fuzz, seed=0, numbers=range(count))
    assert ended.total() == count
    assert ended["read"] > 0.03 * count and ended["refused"] > 0.03 * count  # else the cases try nothing


def test_what_is_not_expected_names_its_case(fuzz, monkeypatch):
    monkeypatch.setitem(READERS, "results", (lambda *_: 1 / 0, 1.0))
    with pytest.raises(AssertionError, match="results case 7 of seed 3: ZeroDivisionError"):
        run("results", fuzz, seed=3, numbers=range(7, 9))


def test_damage_is_damage():
    content = bytes(range(200))
    changed = [damaged(content, np.random.default_rng(i)) for i in range(100)]
    assert sum(c != content for c in changed) > 50
    assert damaged(content, np.random.default_rng(4)) == damaged(content, np.random.default_rng(4))
