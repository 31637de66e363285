"""Stages that overlap give what stages in turn give: order, errors after what is done, stopping, no more ahead."""

import threading
import time

import pytest

from hmr_ros.commands.stages import Line

BOTH = pytest.mark.parametrize("overlap", [False, True], ids=["in turn", "overlapping"])


def doubled(items):
    for item in items:
        yield 2 * item


def failing_at(items, number):
    for item in items:
        if item == number:
            raise ValueError(f"at {number}")
        yield item


def line_of(overlap, source, *steps):
    line = Line(overlap=overlap)
    items = line.first("source", source)
    for i, step in enumerate(steps[:-1]):
        items = line.then(f"step {i}", step(items))
    return line, line.last("last", steps[-1](items))


@BOTH
def test_everything_comes_out_once_and_in_order(overlap):
    line, items = line_of(overlap, range(200), doubled, doubled)
    assert list(items) == [4 * i for i in range(200)]
    assert next(items, "ended") == "ended"
    line.close()


@BOTH
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_error_comes_out_after_all_that_was_before_it(overlap, place):
    steps = [lambda items: items] * 3
    steps[place] = lambda items: failing_at(items, 7)
    line, items = line_of(overlap, range(20), *steps)
    done = []
    with pytest.raises(ValueError, match="at 7"):
        for item in items:
            done.append(item)  # what came before the error stays
    assert done == list(range(7))
    line.close()


@BOTH
def test_what_is_under_way_when_the_line_is_stopped_comes_out(overlap):
    read = []

    def source():
        for i in range(10_000):
            read.append(i)
            yield i

    line, items = line_of(overlap, source(), doubled, doubled)
    out = [next(items) for _ in range(5)]
    line.stop()
    out += list(items)
    assert out == [4 * i for i in read] and 5 <= len(out) < 100
    line.close()


@BOTH
def test_no_stage_runs_far_ahead_of_a_slow_one(overlap):
    alive, most = 0, 0
    lock = threading.Lock()

    def source():
        nonlocal alive, most
        for i in range(60):
            with lock:
                alive += 1
                most = max(most, alive)
            yield i

    line, items = line_of(overlap, source(), doubled, doubled)
    for _ in items:
        time.sleep(0.001)
        with lock:
            alive -= 1
    assert alive == 0 and most <= 12
    line.close()


def test_stages_work_at_the_same_time():
    """The second stage ends an item only once the first has begun the next one."""
    begun = [threading.Event() for _ in range(4)]

    def source():
        for event in begun:
            event.set()
            yield event

    def waiting(items):
        for i, _ in enumerate(items):
            assert begun[min(i + 1, 3)].wait(10)
            yield i

    line, items = line_of(True, source(), waiting)
    assert list(items) == [0, 1, 2, 3]
    line.close()


@BOTH
def test_closing_ends_all_threads_though_nobody_takes_the_items(overlap):
    before = threading.active_count()
    line, items = line_of(overlap, iter(int, 1), doubled, doubled)
    next(items)
    line.close()
    assert threading.active_count() == before
    assert list(items) in ([], [0], [0, 0])


@BOTH
def test_the_slowest_stage_is_named(overlap):
    def slow(items):
        for item in items:
            time.sleep(0.01)
            yield item

    line, items = line_of(overlap, range(10), slow, doubled)
    assert len(list(items)) == 10
    assert line.slowest()[0] == "step 0"
    busy = line.busy_s()
    assert set(busy) == {"source", "step 0", "last"} and busy["step 0"] >= 0.1
    line.close()
