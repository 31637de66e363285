"""`hmr evaluate --protocol` from the images of tiny data sets to the figures."""

import json
import shutil

import numpy as np
import pytest

from hmr_ros.cli import main
from hmr_ros.commands import options
from hmr_ros.evaluate.protocols.table import PROTOCOLS, SPLITS


@pytest.fixture
def evaluated(tmp_path, smpl_folder):
    """Runs the command with SMPL's files; the JSON."""

    def run(*arguments):
        out = tmp_path / "figures.json"
        assert main(["evaluate", *map(str, arguments), "--smpl", str(smpl_folder), "--json", str(out)]) == 0
        return json.loads(out.read_text())

    return run


def test_the_options_name_what_there_is():
    assert (options.PROTOCOLS, options.SPLITS) == (PROTOCOLS, SPLITS)


def test_3dpw_from_images_and_again_from_results(threedpw_folder, evaluated, tmp_path, capsys):
    arguments = ("--protocol", "3dpw", threedpw_folder, "--results", tmp_path / "results", "--fast")
    figures = evaluated(*arguments)
    assert figures["found"] == 9 and figures["people_in_truth"] == 18
    assert 5 < figures["pa_mpjpe_mm"] < 100 and figures["mpjpe_mm"] < 200 and figures["pve_mm"] < 200
    assert figures["sequences"]["downtown_fake_00"]["recall"] == 0.5
    assert "pa_mpjpe_mm" in capsys.readouterr().out
    capsys.readouterr()
    summary = tmp_path / "results/downtown_fake_00/summary.json"
    whole = summary.read_text()
    summary.write_text('{"frames": 7}')  # of a run that was shortened: the rest would look like misses
    assert main(["evaluate", *map(str, arguments)]) == 1 and "7 of 10 frames" in capsys.readouterr().err
    summary.write_text(whole)
    assert main(["evaluate", *map(str, arguments), "--recover", "kinematic"]) == 1
    assert "was made with other settings" in capsys.readouterr().err
    shutil.rmtree(threedpw_folder / "imageFiles")  # what is kept is not made again
    assert evaluated(*arguments) == figures


def test_emdb_and_h36m_from_images(emdb_folder, h36m_folder, evaluated):
    figures = evaluated("--protocol", "emdb", emdb_folder, "--fast", "--max-frames", "6")
    assert figures["found"] == 5 and list(figures["sequences"]) == ["P0_01_fake"]
    assert 5 < figures["pa_mpjpe_mm"] < 100 and figures["mpjae_deg"] < 40
    figures = evaluated("--protocol", "h36m", h36m_folder, "--fast", "--max-frames", "4")
    assert figures["found"] == 4 and 5 < figures["pa_mpjpe_mm"] < 100 and figures["mpjpe_mm"] < 100


def test_without_smpl_files(threedpw_folder, true_results, tmp_path, capsys):
    true_results(tmp_path / "results/downtown_fake_00/humans.npz", body_model="open")
    assert main(["evaluate", "--protocol", "3dpw", str(threedpw_folder), "--results", str(tmp_path / "results")]) == 0
    assert "no --smpl" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--protocol", "3dpw", "nowhere"], "give the folder of 3DPW"),
        (["--protocol", "3dpw", "3DPW", "--smpl", "nowhere"], "--smpl nowhere is not a folder"),
        (["--protocol", "3dpw", "3DPW", "--smpl", "SMPL", "--regressor", "no.npy"], "no.npy does not exist"),
        (["--protocol", "3dpw", "3DPW", "--sequences", "other"], "none of these is in"),
        (["--protocol", "emdb", "3DPW"], "unpack the files of EMDB"),
        (["humans.npz"], "give both, or --protocol"),
        (["--protocol", "3dpw", "3DPW", "truth.npz"], "the folder of a data set alone"),
    ],
)
def test_errors_are_one_line(threedpw_folder, smpl_folder, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(threedpw_folder.parent)
    assert main(["evaluate", *(str(smpl_folder) if a == "SMPL" else a for a in arguments)]) == 1
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and error[0].startswith("hmr: ") and said in error[0]


def test_missing_images_and_foreign_results_are_named(threedpw_folder, smpl_folder, true_results, tmp_path, capsys):
    shutil.rmtree(threedpw_folder / "imageFiles")
    assert main(["evaluate", "--protocol", "3dpw", str(threedpw_folder)]) == 1
    assert "unpack the data set's images" in capsys.readouterr().err
    path = true_results(tmp_path / "results/downtown_fake_00/humans.npz", body_model="open")
    arguments = ["--smpl", str(smpl_folder), "--results", str(tmp_path / "results")]
    assert main(["evaluate", "--protocol", "3dpw", str(threedpw_folder), *arguments]) == 1
    error = capsys.readouterr().err
    assert str(path) in error and "hmr run --body" in error
    assert np.load(path)["body_model"] == "open"
