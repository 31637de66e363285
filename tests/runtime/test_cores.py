"""The cores that are counted are those that this process may use."""

import os

import pytest

from hmr_ros.runtime.cores import usable_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system ties no process to cores")
def test_a_process_that_is_tied_to_one_core_has_one():
    before = os.sched_getaffinity(0)
    assert usable_cores() == len(before)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
