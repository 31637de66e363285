"""Human3.6M as SPIN prepares it."""

import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.evaluate.protocols import h36m
from hmr_ros.io.results import load_arrays


def test_protocol_2_is_the_frontal_camera_in_the_order_of_time(h36m_folder):
    (rows,) = h36m.find(h36m_folder, 2)
    assert rows.name == "S9_Directions_1.60457274" and len(rows.images) == 10
    assert [p.name[-10:-4] for p in rows.images] == [f"{5 * i + 1:06d}" for i in range(10)]
    assert all(p.is_file() for p in rows.images)
    sequence = h36m.load(rows)
    assert sequence.fps == 10 and sequence.camera.K[0, 0] == pytest.approx(1145.5, abs=0.1)
    (subject,) = sequence.subjects
    assert subject.markers.shape == (10, 15, 3) and np.abs(subject.markers[:, 14]).max() == 0
    assert (subject.markers[:, [0, 5], 1] > 0.5).all()  # ankles are below the pelvis
    wide, high = (subject.boxes[:, 2:] - subject.boxes[:, :2]).T
    np.testing.assert_allclose(wide, high)


def test_protocol_1_is_every_camera(h36m_folder):
    assert [r.camera for r in h36m.find(h36m_folder, 1)] == ["54138969", "60457274"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"S": np.zeros((11, 24, 4))}, "not all of the 14 joints"),
        ({"S": np.zeros((11, 17, 3))}, "S has shape"),
        ({"imgname": np.array(["a.jpg"] * 11)}, "not an image like S9_Directions"),
        ({"scale": None}, "has no scale"),
    ],
)
def test_what_is_not_as_published_is_named(h36m_folder, change, said):
    path = h36m_folder / "h36m_valid_protocol1.npz"
    arrays = {k: v for k, v in (load_arrays(path) | change).items() if v is not None}
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=said):
        h36m.find(h36m_folder, 1)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="h36m_valid_protocol2"):
        h36m.find(tmp_path, 2)
