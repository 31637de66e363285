"""PC-HMR's A and W: what they are before training, on disk, and as shipped."""

import numpy as np
import pytest

from hmr_ros.body.coarse import NUM_SPARSE, coarse_of, sparse_points
from hmr_ros.errors import AssetError
from hmr_ros.io.model_store import asset
from hmr_ros.methods.pchmr import blend as module
from hmr_ros.methods.pchmr.blend import WEIGHTS, Blend, blend_of, load_blend, save_blend, trained_blend


@pytest.fixture(scope="module")
def closed(open_body):
    return blend_of(coarse_of(open_body).points(open_body))


def assert_partition(blend):
    np.testing.assert_allclose(blend.A.sum(1), 1.0, atol=1e-6)
    assert (blend.A >= 0).all()
    assert ((blend.W >= 0) & (blend.W <= 1)).all()


def test_the_closed_form_is_a_partition(closed):
    assert closed.A.shape == closed.W.shape == (448, 24)
    assert_partition(closed)


def test_the_first_points_are_the_sparse_ones(open_body, closed):
    sparse = blend_of(sparse_points(open_body, coarse_of(open_body)))
    np.testing.assert_array_equal(sparse.A, closed.A[:NUM_SPARSE])
    np.testing.assert_array_equal(sparse.W, closed.W[:NUM_SPARSE])


def test_saved_and_loaded(closed, tmp_path):
    save_blend(tmp_path / WEIGHTS, closed, {"pairs": 3})
    again = load_blend(tmp_path / WEIGHTS)
    np.testing.assert_allclose(again.A, closed.A, atol=1e-6)
    np.testing.assert_allclose(again.W, closed.W, atol=1e-6)
    np.testing.assert_allclose(again.A.sum(1), 1.0, atol=1e-12)


@pytest.mark.parametrize("content", ["nothing", "text", "another", "narrow"])
def test_a_wrong_file_is_one_line_that_says_what_to_do(tmp_path, closed, content):
    path = tmp_path / WEIGHTS
    if content == "text":
        path.write_text("no weights")
    elif content == "another":
        path.write_bytes(asset("mesh2d.safetensors").read_bytes())
    elif content == "narrow":
        save_blend(path, Blend(closed.A[:, :20], closed.W[:, :20]), {})
    with pytest.raises(AssetError) as raised:
        load_blend(path)
    assert "\n" not in str(raised.value)
    assert "hmr train calibrate" in str(raised.value) or "right file" in str(raised.value)


def test_trained_weights_are_used_where_they_are(open_body, closed, tmp_path, monkeypatch):
    mesh = coarse_of(open_body)
    monkeypatch.setattr(module, "asset", lambda name: tmp_path / name)
    np.testing.assert_array_equal(trained_blend(open_body, mesh, 81).A, closed.A[:81])
    planted = Blend(np.roll(closed.A, 1, axis=1), closed.W)
    save_blend(tmp_path / WEIGHTS, planted, {})
    np.testing.assert_allclose(trained_blend(open_body, mesh, 81).A, planted.A[:81], atol=1e-6)


def test_the_shipped_weights_are_a_partition():
    shipped = load_blend(asset(WEIGHTS))
    assert shipped.A.shape == (448, 24)
    assert_partition(shipped)
