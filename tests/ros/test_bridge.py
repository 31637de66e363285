"""cv_bridge is asked for what the own table lacks, and for nothing else."""

import sys

import numpy as np
import pytest
from sensor_msgs.msg import Image

from hmr_ros.errors import InputError
from hmr_ros.io.encodings import decode_image, image_bytes
from hmr_ros.ros import bridge

# what cv_bridge offers, in the small: the compiled part cannot be had without a ROS installation
PACKAGE = """
import numpy as np

class CvBridgeError(TypeError):
    pass

class CvBridge:
    def encoding_to_cvtype2(self, encoding):
        if encoding not in ("bgr8", "rgb16_odd"):
            raise CvBridgeError(f"Unrecognized image encoding [{encoding}]")

    def imgmsg_to_cv2(self, img_msg, desired_encoding="passthrough"):
        self.encoding_to_cvtype2(img_msg.encoding)
        assert desired_encoding == "bgr8" and img_msg.encoding == "rgb16_odd"
        pixels = np.ndarray((img_msg.height, img_msg.width, 3), "<u2", img_msg.data)
        return (pixels[..., ::-1] >> 8).astype(np.uint8)
"""
BROKEN = "raise ImportError('numpy.core.multiarray failed to import')"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a cv_bridge with the given source where Python finds it."""

    def write(source):
        (tmp_path / "cv_bridge.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)

    monkeypatch.delitem(sys.modules, "cv_bridge", raising=False)
    bridge._bridge.cache_clear()
    yield write
    sys.modules.pop("cv_bridge", None)
    bridge._bridge.cache_clear()


def message(encoding, pixels):
    height, width = pixels.shape[:2]
    data = image_bytes(pixels.view(np.uint8))
    return Image(height=height, width=width, encoding=encoding, step=len(data) // height, data=data)


DEEP = np.arange(4 * 6 * 3, dtype="<u2").reshape(4, 6, 3) * 800


def test_an_encoding_beyond_the_table_is_converted(install):
    install(PACKAGE)
    np.testing.assert_array_equal(
        decode_image(message("rgb16_odd", DEEP), bridge.convert_with_cv_bridge), DEEP[..., ::-1] >> 8
    )


def test_encodings_of_the_table_do_not_even_load_it(install):
    install(BROKEN)
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    np.testing.assert_array_equal(decode_image(message("bgr8", pixels), bridge.convert_with_cv_bridge), pixels)
    assert "cv_bridge" not in sys.modules and not bridge._bridge.cache_info().currsize


def test_what_it_cannot_convert_either_is_one_line(install):
    install(PACKAGE)
    with pytest.raises(
        InputError, match=r"'odd' is unknown; known are bgr8.*; cv_bridge cannot convert it: Unrec"
    ) as e:
        decode_image(message("odd", DEEP), bridge.convert_with_cv_bridge)
    assert "\n" not in str(e.value)


def test_a_bridge_that_does_not_load_is_one_line(install):
    install(BROKEN)
    with pytest.raises(InputError, match=r"'rgb16_odd' is unknown; known are bgr8.*cv_bridge.*does not load; install"):
        decode_image(message("rgb16_odd", DEEP), bridge.convert_with_cv_bridge)
