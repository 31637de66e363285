"""A worker keeps to its share of the cores."""

import cv2
import pytest

from hmr_ros.commands.batch.items import Options
from hmr_ros.commands.batch.work import Worker
from hmr_ros.config import HmrConfig


@pytest.fixture
def threads():
    """OpenCV's, of this process."""
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("share", [1, 3])
def test_a_worker_gives_opencv_no_more_threads_than_its_networks(tmp_path, share):
    cv2.setNumThreads(5)
    Worker(Options(HmrConfig(threads=share)), str(tmp_path))
    assert cv2.getNumThreads() == share
