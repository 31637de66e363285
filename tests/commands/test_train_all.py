"""`hmr train all`: every stage from one file, each on what those before made; resumed, kept, refused with a reason."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import yaml
from safetensors.numpy import load_file

from hmr_ros.cli import main
from hmr_ros.commands import train
from hmr_ros.commands.train_all import plan
from hmr_ros.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "config" / "train.yaml"


pytestmark = pytest.mark.usefixtures("one_thread")


def tiny(folder, motion_file, **sections):
    """A file with every stage but the image network's, which ends in seconds."""
    tree = {
        "out": str(folder / "run"),
        "motion": {"train": str(motion_file)},
        "common": {"workers": 1, "threads": 1},
        "pairs": {
            "stills": {"motion": "train", "count": 12},
            "moving": {"motion": "train", "count": 24, "frames": 8, "plain": True},
        },
        "mesh2d": {"pairs": ["stills"], "val": "stills", "steps": 3, "batch": 8},
        "m2p": {"pairs": ["stills", "moving"], "val": "moving", "motion": "train", "steps": 3, "batch": 8},
        "prior": {
            "pairs": "moving", "val": "moving", "motion": "train", "steps": 3, "batch": 4, "synthetic_motions": 2,
        },
    }  # fmt: skip
    path = folder / "train.yaml"
    path.write_text(yaml.safe_dump(tree | sections, sort_keys=False))
    return path


IMAGE = {
    "crops": {"crops": {"motion": "train", "count": 4, "side": 96, "plain": True}},
    "image": {"crops": "crops", "val": "crops", "steps": 2, "batch": 4},
    "features": {"features": {"motion": ["train"], "count": 2, "plain": True, "look": "painted"}},
    "limbs": {"features": "features", "val": "features", "steps": 2, "batch": 4},
    "hmdiff": {"pairs": "stills", "val": "stills", "steps": 2, "batch": 4},
    "export": {"networks": ["posture", "refine", "image", "decoder", "hmdiff", "limbs"]},
}


@pytest.fixture(scope="module")
def finished(motion_file, tmp_path_factory):
    """A run of all stages."""
    folder = tmp_path_factory.mktemp("all")
    config = tiny(folder, motion_file, **IMAGE)
    assert main(["train", "all", str(config)]) == 0
    return config


def weights(config, *names):
    run = config.parent / "run"
    return {name: load_file(run / name / f"{name}.safetensors") for name in names}


def test_every_stage_leaves_what_it_makes(finished):
    run = finished.parent / "run"
    models = {path.name for path in (run / "models").iterdir()}
    networks = {"mesh2d", "m2p", "hmdiff", "prior", "image", "limbs"}
    graphs = {"posture_2.onnx", "refine_16.onnx", "image_128.onnx", "decoder_2.onnx", "hmdiff_8.onnx", "limbs_32.onnx"}
    assert models == {f"{name}.safetensors" for name in networks} | graphs | {"stage.json"}
    for name in networks:
        assert (run / "models" / f"{name}.safetensors").read_bytes() == (
            run / name / f"{name}.safetensors"
        ).read_bytes()
        assert len((run / name / "curve.csv").read_text().splitlines()) == 2


def test_later_stages_build_on_the_networks_of_the_run(finished, motion_file, tmp_path):
    """The prior is the one that its own command trains on the run's 2D mesh network and decoder, bit for bit."""
    run = finished.parent / "run"
    argv = [
        "train",
        "prior",
        "--pairs",
        str(run / "moving"),
        "--val",
        str(run / "moving"),
        "--motion",
        str(motion_file),
    ]
    argv += ["--out", str(tmp_path), "--steps", "3", "--batch", "4", "--synthetic-motions", "2", "--threads", "1"]
    own = [f"--{n}={run / n / n}.safetensors" for n in ("mesh2d", "m2p")]
    assert main([*argv, *own]) == 0
    found, expected = load_file(tmp_path / "prior.safetensors"), weights(finished, "prior")["prior"]
    assert all(np.array_equal(found[name], value) for name, value in expected.items())
    session = onnxruntime.InferenceSession(str(run / "models" / "posture_2.onnx"))
    sources = session.get_modelmeta().custom_metadata_map
    assert any("mesh2d.safetensors" in value for value in sources.values())


def test_a_finished_run_is_kept(finished, capsys):
    run = finished.parent / "run"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.safetensors") if path.parent.name != "models"}
    before |= {path: path.stat().st_mtime_ns for path in run.rglob("*.npz")}
    assert main(["train", "all", str(finished)]) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert capsys.readouterr().out.count("finished before") == 6


def test_a_stopped_run_goes_on_where_it_was(finished, motion_file, tmp_path, monkeypatch):
    """Stopped in the middle of the decoder's training; what comes out is what an unbroken run makes."""
    config = tiny(tmp_path, motion_file)
    whole, calls = train.train_m2p, []

    def stopped(bank, *rest):
        draw = bank.batch

        def limited(*args, **options):
            calls.append(args)
            if len(calls) > 2:
                raise KeyboardInterrupt
            return draw(*args, **options)

        bank.batch = limited
        return whole(bank, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(train, "train_m2p", stopped)
        assert main(["train", "all", str(config)]) == 130
    run = tmp_path / "run"
    assert (run / "mesh2d" / "mesh2d.safetensors").exists() and not (run / "m2p" / "m2p.safetensors").exists()
    mesh2d = (run / "mesh2d" / "mesh2d.safetensors").stat().st_mtime_ns
    assert main(["train", "all", str(config)]) == 0
    assert (run / "mesh2d" / "mesh2d.safetensors").stat().st_mtime_ns == mesh2d
    names = ("mesh2d", "m2p", "prior")
    again, unbroken = weights(config, *names), weights(finished, *names)
    for name in names:
        for key, value in unbroken[name].items():
            np.testing.assert_array_equal(again[name][key], value, err_msg=f"{name} {key}")


def test_other_options_and_inputs_are_refused(finished, motion_file, capsys):
    """What lies there was made from something else; nothing is mixed silently."""
    text = finished.read_text()
    try:
        finished.write_text(text.replace("count: 12", "count: 13"))
        assert main(["train", "all", str(finished)]) == 1
        said = capsys.readouterr().err
        assert "stills" in said and "other options (count)" in said and "remove it" in said
        finished.write_text(text.replace("threads: 1", "threads: 2"))  # how fast is no such option
        assert main(["train", "all", str(finished)]) == 0
        finished.write_text(text)
        mesh2d = finished.parent / "run" / "mesh2d" / "mesh2d.safetensors"
        kept = mesh2d.read_bytes()
        mesh2d.write_bytes(kept + b" ")
        assert main(["train", "all", str(finished)]) == 1
        assert "m2p" in (said := capsys.readouterr().err) and "other inputs (mesh2d 0)" in said
        mesh2d.write_bytes(kept)
    finally:
        finished.write_text(text)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"m3p": {}}, "'m3p' is unknown; choose from"),
        ({"m2p": {"pairs": "stills", "val": "stills", "stepz": 3}}, "m2p: .*unrecognized arguments: --stepz"),
        ({"m2p": {"pairs": "stills"}}, "m2p: .*required: --val"),
        ({"m2p": {"pairs": "stills", "val": "stills", "steps": "many"}}, "m2p: .*--steps: invalid int value: 'many'"),
        ({"m2p": {"pairs": ["stillz"], "val": "stills"}}, "m2p: pairs 'stillz' is neither named in this file"),
        ({"pairs": {"mesh2d": {"motion": "train"}}}, "'mesh2d' is the name of a stage"),
        ({"pairs": {"stills": 12}}, "'stills' must hold options"),
        ({"motion": {"train": "none.npz"}}, "there is no file none.npz"),
        ({"common": {"speed": 3}}, "'speed' is unknown; choose from workers"),
        ({"export": {"networks": ["posture"], "step": "x"}}, "export: .*step"),
    ],
)
def test_mistakes_are_named_before_anything_is_run(motion_file, tmp_path, capsys, sections, said):
    import re

    config = tiny(tmp_path, motion_file, **sections)
    assert main(["train", "all", str(config)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and re.search(said, lines[0]), lines
    assert not (tmp_path / "run").exists()


def test_files_that_are_none(tmp_path, capsys):
    for text, said in ((None, "cannot read"), ("[", "no YAML file"), ("3", "see config/train.yaml")):
        path = tmp_path / "x.yaml"
        if text is not None:
            path.write_text(text)
        assert main(["train", "all", str(path)]) == 1
        assert said in capsys.readouterr().err


def test_the_example_asks_for_the_shipped_recipe(tmp_path, monkeypatch, motion_file):
    monkeypatch.chdir(tmp_path)
    for name in ("train.npz", "val.npz"):
        (tmp_path / name).write_bytes(motion_file.read_bytes())
    words = {stage.name: " ".join(stage.words) for stage in plan(EXAMPLE)}
    assert "--count=35000 --frames=12 --seed=32" in words["pairs: moving_hard"]
    assert "--synthetic-motions=4500 --real-share=0.6" in words["prior"] and "--steps=24000" in words["m2p"]
    assert "--mesh2d=training/mesh2d/mesh2d.safetensors --m2p=training/m2p/m2p.safetensors" in words["prior"]
    assert list(words)[-7:] == ["mesh2d", "m2p", "hmdiff", "prior", "limbs", "calibrate", "export"]
    assert "--calibrate" not in words["export"]  # it has no graph
    (tmp_path / "val.npz").unlink()
    with pytest.raises(ConfigError, match=r"val\.npz"):
        plan(EXAMPLE)
