"""TensorFlow.js graphs as LiteRT files: against the same arithmetic in NumPy, on graphs made here."""

import base64
import json

import numpy as np
import pytest

from hmr_ros.errors import AssetError
from hmr_ros.runtime.litert import LiteRtModel
from hmr_ros.runtime.tfjs import litert_model

SIZE = 8


def word(text):
    return {"s": base64.b64encode(text.encode()).decode()}


def convolution(name, op, source, weights, stride=1, fused=(), padding="SAME"):
    attributes = {
        "padding": word(padding),
        "strides": {"list": {"i": ["1", str(stride), str(stride), "1"]}},
        "dilations": {"list": {"i": ["1"] * 4}},
        "fused_ops": {"list": {"s": [word(f)["s"] for f in fused]}},
    }
    return {"name": name, "op": op, "input": [source, *weights], "attr": attributes}


@pytest.fixture
def write(tmp_path):
    """Writes a graph and its weights, float16 as published; the two files."""

    def files(nodes, arrays):
        specs = [
            {"name": n, "shape": list(a.shape), "dtype": "float32", "quantization": {"dtype": "float16"}}
            for n, a in arrays.items()
        ]
        tree = {"modelTopology": {"node": nodes}, "weightsManifest": [{"weights": specs}]}
        (tmp_path / "g.json").write_text(json.dumps(tree))
        (tmp_path / "g.bin").write_bytes(b"".join(a.astype(np.float16).tobytes() for a in arrays.values()))
        return tmp_path / "g.json", tmp_path / "g.bin"

    return files


def run(files, ends):
    image = np.random.default_rng(0).standard_normal((1, SIZE, SIZE, 3)).astype(np.float32)
    content = litert_model(*files, "image", ends, SIZE)
    return image, LiteRtModel(files[0], 1, content=content)(image)


def test_convolutions_sums_and_sigmoids(write):
    rng = np.random.default_rng(1)
    arrays = {
        "w": rng.standard_normal((1, 1, 3, 4)).astype(np.float16),
        "b": rng.standard_normal(4).astype(np.float16),
        "d": rng.standard_normal((3, 3, 4, 1)).astype(np.float16),
    }
    nodes = [
        convolution("a", "_FusedConv2D", "image", ["w", "b"], fused=("BiasAdd", "Relu6"), padding="VALID"),
        convolution("c", "DepthwiseConv2dNative", "a", ["d"]),
        {"name": "s", "op": "AddV2", "input": ["a", "c"], "attr": {}},
        {"name": "p", "op": "Sigmoid", "input": ["s"], "attr": {}},
    ]
    image, out = run(write(nodes, arrays), ["p", "a"])
    assert set(out) == {"p", "a"}
    w, b, d = (arrays[k].astype(np.float64) for k in "wbd")
    a = np.clip(image[0] @ w[0, 0] + b, 0, 6)
    padded = np.pad(a, ((1, 1), (1, 1), (0, 0)))
    c = sum(padded[i : i + SIZE, j : j + SIZE] * d[i, j, :, 0] for i in range(3) for j in range(3))
    np.testing.assert_allclose(out["a"][0], a, atol=1e-4)
    np.testing.assert_allclose(out["p"][0], 1 / (1 + np.exp(-(a + c))), atol=1e-4)


def test_strides_shrink_and_growth_doubles(write):
    arrays = {"w": np.ones((3, 3, 3, 1), np.float16)}
    grown = {"half_pixel_centers": {"b": True}, "align_corners": {"b": False}}
    nodes = [
        convolution("half", "_FusedConv2D", "image", ["w"], stride=2),
        {"name": "twice", "op": "ResizeBilinear", "input": ["half", "size"], "attr": grown},
    ]
    image, out = run(write(nodes, arrays), ["half", "twice"])
    padded = np.pad(image[0].sum(-1), ((0, 1), (0, 1)))  # SAME of an even side and stride 2 pads behind alone
    expected = sum(padded[i : i + SIZE : 2, j : j + SIZE : 2] for i in range(3) for j in range(3))
    np.testing.assert_allclose(out["half"][0, :, :, 0], expected, atol=1e-4)
    assert out["twice"].shape == (1, SIZE, SIZE, 1)
    np.testing.assert_allclose(out["twice"][0, ::7, ::7, 0], expected[::3, ::3], atol=1e-4)  # corners stay
    np.testing.assert_allclose(out["twice"][0, 1, 0, 0], 0.75 * expected[0, 0] + 0.25 * expected[1, 0], atol=1e-4)


def test_what_cannot_be_used_names_the_cure(write, tmp_path):
    weights = {"w": np.ones((3, 3, 3, 1), np.float16)}
    strange = write([{"name": "a", "op": "Einsum", "input": ["image"], "attr": {}}], weights)
    with pytest.raises(AssetError, match=r"operator Einsum is unknown.*hmr models fetch"):
        litert_model(*strange, "image", ["a"], SIZE)
    valid = write([convolution("a", "_FusedConv2D", "image", ["w"], padding="VALID")], weights)
    with pytest.raises(AssetError, match="pads or dilates"):
        litert_model(*valid, "image", ["a"], SIZE)
    (tmp_path / "g.bin").write_bytes(b"cut")
    with pytest.raises(AssetError, match="delete it and run"):
        litert_model(*valid, "image", ["a"], SIZE)
