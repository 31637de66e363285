"""Users' SMPL files: the good ones load, the others end in one line and run nothing."""

from __future__ import annotations

import os
import pickle
import sys
import types

import numpy as np
import pytest
import scipy.sparse

from hmr_ros.body.loading import load_body
from hmr_ros.errors import BodyModelError

ARRAYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "faces")


def assert_same(loaded, body):
    for key in ARRAYS:
        np.testing.assert_allclose(getattr(loaded, key), getattr(body, key), atol=1e-12)


def refused(path, match):
    with pytest.raises(BodyModelError, match=match) as caught:
        load_body(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


class Attack:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.fixture
def chumpy(monkeypatch):
    """A stand-in of chumpy, there only while a file is written."""
    package, ch = types.ModuleType("chumpy"), types.ModuleType("chumpy.ch")
    ch.Ch = type("Ch", (), {"__module__": "chumpy.ch"})
    monkeypatch.setitem(sys.modules, "chumpy", package)
    monkeypatch.setitem(sys.modules, "chumpy.ch", ch)
    yield ch.Ch
    sys.modules.pop("chumpy.ch", None)


def test_npz_round_trip(synthetic_body, smpl_arrays, tmp_path):
    np.savez(tmp_path / "mine.npz", **smpl_arrays(synthetic_body))
    loaded = load_body(tmp_path / "mine.npz")
    assert loaded.name == "smpl:mine"
    assert_same(loaded, synthetic_body)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pkl_round_trip(synthetic_body, smpl_arrays, tmp_path, protocol):
    path = tmp_path / "mine.pkl"
    path.write_bytes(pickle.dumps(smpl_arrays(synthetic_body), protocol=protocol))
    assert_same(load_body(str(path)), synthetic_body)


def test_python2_file_with_chumpy_sparse_and_300_betas(synthetic_body, smpl_arrays, tmp_path, chumpy, python2_dump):
    arrays = smpl_arrays(synthetic_body)
    shapedirs = chumpy()
    shapedirs.x = np.concatenate([arrays["shapedirs"], np.ones((200, 3, 290))], axis=-1)
    shapedirs.dterms = ("x",)
    posedirs = chumpy()
    posedirs.x = np.asfortranarray(arrays["posedirs"].astype(">f8"))
    path = tmp_path / "official.pkl"
    regressor = scipy.sparse.csc_matrix(arrays["J_regressor"])
    python2_dump(
        arrays | {"shapedirs": shapedirs, "posedirs": posedirs, "J_regressor": regressor, "bs_type": "lrotmin",
                  "scale": np.float64(2), "history": np.array([None, "x"], dtype=object)},
        path,
    )  # fmt: skip
    del sys.modules["chumpy.ch"], sys.modules["chumpy"]
    assert b"numpy.core.multiarray" in path.read_bytes()
    assert_same(load_body(path), synthetic_body)


def test_pose_correctives_may_be_missing_or_zero(open_body, save_smpl_pkl):
    assert load_body(save_smpl_pkl(open_body)).posedirs is None


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_malicious_pickle_is_refused_and_not_run(tmp_path, protocol):
    trace = tmp_path / "ran"
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"f": Attack(os.system, f"touch {trace}")}, protocol=protocol))
    refused(path, r"(posix|nt)\.system")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("attack", "named"),
    [
        (Attack(eval, "1"), "eval"),
        (Attack(getattr, "x", "upper"), "getattr"),
        (Attack(np.load, "x.npy", None, True), "load"),
        (Attack(__import__, "os"), "__import__"),
        (Attack(np.fromfile, "x"), "fromfile"),
    ],
)
def test_other_globals_are_refused_by_name(tmp_path, attack, named):
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(attack))
    refused(path, named)


def test_dotted_names_do_not_reach_inside_allowed_modules(tmp_path):
    path = tmp_path / "evil.pkl"
    path.write_bytes(b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.")
    refused(path, "ndarray.__class__")


def test_forged_object_array_is_not_made(tmp_path, smpl_arrays, synthetic_body):
    path = tmp_path / "forged.pkl"
    arrays = smpl_arrays(synthetic_body) | {"weights": np.full((200, 24), None)}
    path.write_bytes(pickle.dumps(arrays, protocol=2))
    refused(path, "weights")
    np.savez(tmp_path / "forged.npz", **arrays)
    refused(tmp_path / "forged.npz", "allow_pickle")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("suffix", [".pkl", ".npz"])
def test_truncated_file_is_refused(synthetic_body, smpl_arrays, tmp_path, share, suffix):
    path = tmp_path / f"whole{suffix}"
    if suffix == ".npz":
        np.savez(path, **smpl_arrays(synthetic_body))
    else:
        path.write_bytes(pickle.dumps(smpl_arrays(synthetic_body)))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    refused(path, "damaged")


def test_random_damage_never_escapes(synthetic_body, save_smpl_pkl):
    path = save_smpl_pkl(synthetic_body)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(40):
        data = bytearray(whole)
        for at in rng.integers(0, 400, 3):
            data[at] = rng.integers(256)
        path.write_bytes(data)
        try:
            load_body(path)
        except BodyModelError as error:
            assert "\n" not in str(error)


def changed(key, value, named=None):
    return pytest.param(key, value, named or key, id=f"{key}-{np.shape(value)}")


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        changed("v_template", np.full((200, 3), np.nan)),
        changed("v_template", np.zeros((199, 3)), "199"),
        changed("shapedirs", np.zeros((200, 3, 4))),
        changed("posedirs", np.zeros((200, 3, 93))),
        changed("weights", np.zeros((200, 24))),
        changed("J_regressor", np.zeros((17, 200))),
        changed("f", np.full((10, 3), 200)),
        changed("f", np.zeros((10, 3))),
        changed("f", np.zeros((10, 4), int), "faces"),
        changed("kintree_table", np.zeros((2, 52), int)),
        changed("weights", "text"),
    ],
)
def test_wrong_content_is_named(synthetic_body, save_smpl_pkl, key, value, named):
    refused(save_smpl_pkl(synthetic_body, **{key: value}), named)


def test_missing_keys_are_named(tmp_path):
    np.savez(tmp_path / "half.npz", v_template=np.zeros((5, 3)), weights=np.zeros((5, 24)))
    refused(tmp_path / "half.npz", "shapedirs, J_regressor, f are missing")


def test_missing_file_and_unknown_suffix(tmp_path):
    refused(tmp_path / "none.pkl", "no such file")
    (tmp_path / "body.obj").write_text("v 0 0 0")
    refused(tmp_path / "body.obj", "npz or .pkl")
