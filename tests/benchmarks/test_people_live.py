"""What is said of runs with several people: clips without a seam, shares, gaps, and bars that are missed."""

from types import SimpleNamespace

import numpy as np
import people_live
import pytest
from live_node import Seen, Status


def run(every, people=8, gap_s=0.0):
    """Images of ten seconds at 30 Hz of which every n-th is answered 80 ms later, and once nothing for a while."""
    stamps = [round(1e9 * (1000 + k / 30)) for k in range(300)]
    answers = [
        Seen(1e-9 * s + 0.08, s, people, "camera") for s in stamps[::every] if not 8 < 1e-9 * s - 1000 < 8 + gap_s
    ]
    observer = SimpleNamespace(answers=answers, statuses=[Status(0.0, 0, "", {"hurried": "true"})] * 2)
    return people_live.figures(observer, stamps, people) | {"people": people, "size": [640, 480], "hz": 30.0}


def test_shares_and_ages():
    row = run(3)
    assert row["images"] == 150 and row["answered"] == pytest.approx(1 / 3) and row["seen"] == 8 and row["hurried"] == 1
    np.testing.assert_allclose(row["age_ms"], 80, atol=0.1)
    assert row["longest_gap_s"] == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize(
    ("kept", "how"),
    [
        (True, {"every": 1, "people": 2}), (False, {"every": 2, "people": 2}), (True, {"every": 3}),
        (False, {"every": 3, "gap_s": 0.6}), (False, {"every": 1000}),
    ],
)  # fmt: skip
def test_bars(kept, how):
    row = run(**how)
    assert people_live.keeps(row) is kept and ("MISS" in people_live.line(row)) is not kept


def test_clips_have_no_seam(tmp_path):
    file = people_live.crowd_clip(tmp_path, 2, 96, 72, count=4)
    frames = np.load(file)
    assert frames.shape == (6, 72, 96, 3) and file == people_live.crowd_clip(tmp_path, 2, 96, 72)
    np.testing.assert_array_equal(frames[4], frames[2])
    np.testing.assert_array_equal(frames[5], frames[1])
    assert (frames[0] != frames[3]).any()
