"""CLEAR MOT, IDF1 and HOTA against hand-made cases and against what TrackEval 1.3.0 says of random ones."""

import numpy as np
import pytest

from hmr_ros.evaluate.tracking import Moment, box_overlap, clear, hota, idf1, without_ignored


def moment(true_ids, found_ids, **same):
    """Everybody apart, but for pairs given as `t3h5=0.8`."""
    overlap = np.zeros((len(true_ids), len(found_ids)))
    for name, value in same.items():
        t, h = (int(n) for n in name.removeprefix("t").split("h"))
        overlap[true_ids.index(t), found_ids.index(h)] = value
    return Moment(np.array(true_ids, int), np.array(found_ids, int), overlap)


def random_case(seed):
    """Four people, six ids; in the second half everybody is another id."""
    rng, moments = np.random.default_rng(seed), []
    for f in range(30):
        true, found = np.arange(4)[rng.random(4) < 0.9], np.flatnonzero(rng.random(6) < 0.7)
        overlap = np.round(rng.random((len(true), len(found))) * 0.4, 3)
        for a, i in enumerate(true):
            for b, j in enumerate(found):
                if (j == i and f < 15) or (j == (i + 1) % 6 and f >= 15):
                    overlap[a, b] = round(0.5 + 0.5 * rng.random(), 3)
        moments.append(Moment(true, found, overlap))
    return moments


def test_all_as_it_is():
    moments = [moment([0, 1], [7, 3], t0h7=1.0, t1h3=1.0)] * 5
    counts, pairs = clear(moments)
    assert (counts.mota, counts.recall, counts.precision, counts.switches) == (1, 1, 1, 0)
    assert idf1(moments) == hota(moments) == 1
    np.testing.assert_array_equal(pairs[0], [[0, 0], [1, 1]])


def test_two_who_swap_their_ids():
    before, after = moment([0, 1], [0, 1], t0h0=0.9, t1h1=0.9), moment([0, 1], [0, 1], t0h1=0.9, t1h0=0.9)
    moments = [before] * 5 + [after] * 5
    counts, _ = clear(moments)
    assert (counts.matched, counts.switches) == (20, 2) and counts.mota == pytest.approx(0.9)
    assert idf1(moments) == pytest.approx(0.5) and hota(moments) < 0.6


def test_who_stays_is_kept_against_a_better_overlap():
    moments = [moment([0], [5], t0h5=0.9), moment([0], [5, 6], t0h5=0.6, t0h6=0.95)]
    counts, _ = clear(moments)
    assert (counts.switches, counts.false) == (0, 1)


def test_nobody_found_and_nobody_there():
    assert clear([moment([0, 1], [])])[0].mota == 0 and idf1([moment([0], [])]) == hota([moment([0], [])]) == 0
    assert clear([moment([], [4])])[0].false == 1 and idf1([moment([], [])]) == hota([moment([], [])]) == 1


def test_a_gap_in_which_the_id_stays_is_no_switch():
    there, gone = moment([0], [2], t0h2=0.8), moment([0], [])
    assert clear([there, gone, there])[0].switches == 0
    assert clear([there, gone, moment([0], [3], t0h3=0.8)])[0].switches == 1


def test_as_trackeval_says():
    moments = random_case(0)
    counts, _ = clear(moments)
    assert (counts.matched, counts.missed, counts.false, counts.switches) == (68, 39, 53, 4)
    assert hota(moments) == pytest.approx(0.25724057831442343) and idf1(moments) == pytest.approx(0.3157894736842105)
    moments = random_case(39)
    counts, _ = clear(moments)
    assert (counts.matched, counts.missed, counts.false, counts.switches) == (77, 34, 45, 4)
    assert hota(moments) == pytest.approx(0.2756976723952958) and idf1(moments) == pytest.approx(0.3605150214592275)


def test_ignored_people_take_who_was_found_in_their_place_along():
    left = without_ignored(moment([0, 1], [4, 5, 6], t0h4=0.8, t1h5=0.7), np.array([1]))
    assert left.true_ids.tolist() == [0] and left.found_ids.tolist() == [4, 6] and left.overlap.tolist() == [[0.8, 0]]


def test_overlap_of_boxes():
    a = np.array([[0.0, 0, 2, 2]])
    b = np.array([[0.0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [0, 0, 0, 0]])
    np.testing.assert_allclose(box_overlap(a, b), [[1, 1 / 3, 0, 0]])
