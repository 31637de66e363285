"""Which engine runs, why, and what is said when none can."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import cv2
import onnx
import pytest

from hmr_ros.cli import main
from hmr_ros.config import HmrConfig, PostureConfig
from hmr_ros.errors import AssetError
from hmr_ros.factory import choose_engine, engine_request
from hmr_ros.io.model_store import asset
from hmr_ros.io.results import load_humans
from hmr_ros.methods.dummy_inputs import make_inputs
from hmr_ros.methods.registry import NETWORKS
from hmr_ros.runtime.model_card import KEY
from hmr_ros.runtime.onnxruntime import OnnxRuntimeEngine
from hmr_ros.runtime.selection import select
from hmr_ros.runtime.tolerances import relative_errors

# argv: modules that cannot be imported, then the options of hmr
_WITHOUT = """
import sys
gone = sys.argv[1].split(",")
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in gone:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
sys.meta_path.insert(0, Gone())
from hmr_ros.cli import main
sys.exit(main(sys.argv[2:]))
"""


def request(*folders, steps=2):
    wanted = engine_request(HmrConfig(posture=PostureConfig(steps=steps), threads=1), "posture")
    return replace(wanted, folders=folders)


@pytest.mark.parametrize("network", list(NETWORKS))
def test_the_shipped_file_belongs_to_the_shipped_weights(network):
    """After new weights or another body: `hmr export --out hmr_ros/assets`."""
    config = HmrConfig()
    wanted = engine_request(config, network)
    cure = f"run: hmr export {network} --out hmr_ros/assets"
    assert asset(wanted.file).is_file(), cure
    engine = OnnxRuntimeEngine(asset(wanted.file), network, 1)
    assert not engine.card.outdated(asset("")), cure
    assert wanted.settings.items() <= engine.card.settings.items(), cure
    torch_engine = select("torch", wanted).engine
    given = make_inputs(engine.signature, 3)
    assert max(relative_errors(torch_engine(given), engine(given)).values()) < 1e-4, cure


def test_auto_takes_the_exported_file_and_else_torch(exported, tmp_path):
    assert choose_engine(HmrConfig()).engine.kind == "onnxruntime"
    assert select("auto", request(tmp_path, exported(4).parent, steps=4)).engine.kind == "onnxruntime"
    chosen = select("auto", request(tmp_path, steps=4))
    assert chosen.engine.kind == "torch" and "hmr export posture --steps 4" in chosen.reason
    assert select("torch", request(exported(2).parent)).engine.kind == "torch"


def test_a_file_of_other_weights_is_not_taken(exported, tmp_path):
    model = onnx.load(exported(2))
    entry = next(p for p in model.metadata_props if p.key == KEY)
    entry.value = entry.value.replace('"m2p.safetensors": "', '"m2p.safetensors": "0')
    onnx.save(model, tmp_path / "posture_2.onnx")
    chosen = select("auto", request(tmp_path))
    assert chosen.engine.kind == "torch" and "made from other m2p.safetensors" in chosen.reason
    with pytest.raises(AssetError, match="hmr export posture --steps 2"):
        select("onnxruntime", request(tmp_path))
    assert select("auto", request(tmp_path, exported(2).parent)).engine.path == exported(2)


def test_a_damaged_file_does_not_hide_a_good_one(exported, tmp_path):
    (tmp_path / "posture_2.onnx").write_bytes(b"no model")
    assert select("onnxruntime", request(tmp_path, exported(2).parent)).engine.path == exported(2)
    with pytest.raises(AssetError, match="cannot read posture_2"):
        select("onnxruntime", request(tmp_path))


def test_a_file_of_other_steps_is_not_taken(exported, tmp_path):
    shutil.copy(exported(4), tmp_path / "posture_2.onnx")
    with pytest.raises(AssetError, match="other steps"):
        select("onnxruntime", request(tmp_path))


def test_errors_name_the_cure(tmp_path):
    with pytest.raises(AssetError, match="hmr export posture --steps 3"):
        select("onnxruntime", request(tmp_path, steps=3))


def without(modules, *arguments):
    command = [sys.executable, "-c", _WITHOUT, modules, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_product_runs_without_torch(tmp_path, rendered):
    cv2.imwrite(str(tmp_path / "p.png"), rendered[0][3])
    done = without("torch,safetensors", "run", tmp_path / "p.png", "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    assert len(load_humans(tmp_path / "o/humans.npz").frame) == 1
    assert main(["run", str(tmp_path / "p.png"), "--out", str(tmp_path / "t"), "--engine", "torch"]) == 0
    a, b = (load_humans(tmp_path / name / "humans.npz") for name in "ot")
    assert abs(a.joints - b.joints).max() < 1e-4  # 0.1 mm


@pytest.mark.parametrize(
    ("modules", "options", "said"),
    [
        ("torch", ["--config", "window.yaml"], "hmr export refine --window 5"),
        ("torch", ["--refine", "none", "--engine", "torch"], "engine 'torch' needs torch"),
        ("torch", ["--refine", "none", "--steps", "7"], "hmr export posture --steps 7"),
        ("torch", ["--quality"], "refinement of whole tracks needs torch"),
        ("onnxruntime", ["--refine", "none", "--engine", "onnxruntime"], "pip install onnxruntime"),
        ("onnxruntime,torch", ["--refine", "none"], "pip install onnxruntime"),
    ],
)
def test_what_is_missing_is_named(tmp_path, rendered, modules, options, said):
    cv2.imwrite(str(tmp_path / "p.png"), rendered[0][3])
    (tmp_path / "window.yaml").write_text("temporal: {window: 5}\n", encoding="utf-8")
    options = [str(tmp_path / o) if o.endswith(".yaml") else o for o in options]
    done = without(modules, "run", tmp_path / "p.png", "--out", tmp_path / "o", *options)
    lines = [line for line in done.stderr.splitlines() if line.startswith("hmr: ")]
    assert done.returncode == 1 and len(lines) == 1 and said in lines[0], done.stderr
    assert "Traceback" not in done.stderr


def test_export_command(tmp_path, capsys, prior_file):
    assert main(["export", "--out", str(tmp_path), "--steps", "1", "--prior", str(prior_file)]) == 0
    assert {p.name for p in tmp_path.glob("*")} == {
        "posture_1.onnx",
        "refine_16.onnx",
        "hypotheses_10.onnx",
        "hmdiff_8.onnx",
        "limbs_32.onnx",
        "image_128.onnx",
        "decoder_1.onnx",
    }
    assert capsys.readouterr().out.count("largest error against torch") == 7
    for options, said in (
        (["--steps", "0"], "'posture.steps' is 0; give 1 to 100"),
        (["--window", "1"], "'temporal.window' is 1; give 2 to 256"),
        (["magic"], "choose from posture, refine, hypotheses, hmdiff, limbs, image, decoder"),
        (["--prior", "no.safetensors"], "no weights at"),
        (["--out", str(prior_file)], "cannot write"),
    ):
        assert main(["export", *options]) == 1
        assert said in capsys.readouterr().err


def test_doctor_says_which_engine_and_why(capsys):
    main(["doctor"])
    lines = [line for line in capsys.readouterr().out.splitlines() if "engine of '" in line]
    assert len(lines) == len(NETWORKS)
    assert all(line.split()[0] == "ok" and "onnxruntime on" in line and "auto: " in line for line in lines)


def test_doctor_is_content_without_torch():
    done = without("torch,safetensors", "doctor")
    assert done.returncode == 0, done.stdout
    assert "missing torch" in done.stdout


def test_bench_compares_engines(tmp_path, capsys):
    command = ["bench", "--people", "1", "--repeats", "2", "--refine", "none", "--json", str(tmp_path / "b.json")]
    assert main([*command, "--engines"]) == 0
    report = json.loads((tmp_path / "b.json").read_text())
    found = report["engines"]
    assert report["engine"] == "onnxruntime" and set(found) == {"torch", "onnxruntime", "tensorrt"}
    for name in ("torch", "onnxruntime"):
        rows = [r for r in found[name]["stages"] if r["stage"] == "evidence"]
        assert [r["people"] for r in rows] == [1] and all(0 < r["p50_ms"] <= r["p95_ms"] for r in rows)
    assert 30 < found["onnxruntime"]["peak_memory_mb"] < found["torch"]["peak_memory_mb"]  # which loads torch
    assert "engine torch on cpu" in capsys.readouterr().out
    assert main([*command, "--engines", "magic"]) == 1
    assert "choose from auto, torch, onnxruntime, tensorrt" in capsys.readouterr().err


def test_bench_compares_networks_with_the_roofline(tmp_path, capsys):
    argv = ["bench", "--people", "1", "2", "--repeats", "2", "--roofline", "--json", str(tmp_path / "b.json")]
    assert main(argv) == 0
    found = json.loads((tmp_path / "b.json").read_text())["roofline"]
    rows = {(r["network"], r["people"]): r for r in found["networks"]}
    assert set(rows) == {(n, p) for n in NETWORKS for p in (1, 2)}
    for network in NETWORKS:
        one, two = rows[network, 1], rows[network, 2]
        assert two["mflop"] == pytest.approx(2 * one["mflop"], rel=0.05)
        assert one["mbyte"] <= two["mbyte"] < 1.5 * one["mbyte"]  # mostly weights
    assert "share of attainable" in capsys.readouterr().out
