"""Crops for the image network: made, kept, drawn with their points on the right pixels; the network trains on them."""

import cv2
import numpy as np
import pytest
import torch

from hmr_ros.body.coarse import coarse_of
from hmr_ros.cli import main
from hmr_ros.errors import InputError
from hmr_ros.methods.posturehmr.graphs import load_image
from hmr_ros.methods.posturehmr.heatmaps import Seen, log_heat
from hmr_ros.synth.motion import demo_motion
from hmr_ros.train.data import crops as crop_batches
from hmr_ros.train.data.crops import CropBank, CropSet, decoded, load_crops
from hmr_ros.train.image import image_losses

COUNT = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("crops")
    motion = demo_motion()
    np.savez(root / "motion.npz", poses=motion.poses, trans=motion.trans)
    argv = ["train", "crops", "--motion", str(root / "motion.npz"), "--out", str(root / "set"), "--workers", "1"]
    assert main([*argv, "--count", str(COUNT), "--side", "96", "--plain"]) == 0
    return root


def test_people_stand_in_the_middle_of_their_crops(folder):
    crops = load_crops(folder / "set")
    assert len(crops) == COUNT and crops.points.shape == (COUNT, 448, 2)
    assert decoded(crops.jpeg[-1]).shape == (96, 96, 3)
    assert np.abs(crops.points[:, 0]).max() < 0.2  # pelvis
    assert (crops.points[:, 10, 1] < crops.points[:, 5:7, 1].mean(1)).all()  # head above the ankles
    assert 0.3 < np.median(np.ptp(crops.points[..., 1], axis=1)) < 1.0


def test_finished_files_are_kept(folder):
    file = next((folder / "set").glob("*.npz"))
    before = file.stat().st_mtime_ns
    argv = ["train", "crops", "--motion", str(folder / "motion.npz"), "--out", str(folder / "set")]
    assert main([*argv, "--count", str(COUNT), "--workers", "1"]) == 0
    assert file.stat().st_mtime_ns == before


def test_points_stay_on_their_pixels(open_body, monkeypatch):
    """Two discs of different colours: however a crop is turned, shifted and mirrored, each lies at its point."""
    mesh, side = coarse_of(open_body), 192
    left, right = 5, 6  # ankles
    picture, points = np.zeros((side, side, 3), np.uint8), np.zeros((1, 448, 2), np.float32)
    for point, at, color in ((left, (80, 70), (255, 0, 0)), (right, (115, 120), (0, 0, 255))):
        cv2.circle(picture, at, 6, color, -1)
        points[0, point] = np.array(at) / side - 0.5
    bank = CropBank(CropSet([cv2.imencode(".jpg", picture)[1].reshape(-1)], points, side), mesh, 128)
    for change in ("recoloured", "covered"):
        monkeypatch.setattr(crop_batches, change, lambda image, rng: image)
    batch = bank.batch(np.zeros(30, int), np.random.default_rng(0), augment=True)
    mirrored = 0
    for image, found in zip(batch.pictures.numpy().astype(float), batch.points.numpy(), strict=True):
        blue, red = (np.where(image[c] > 60, image[c], 0.0) for c in (0, 2))
        places = [np.array([(m.sum(0) @ np.arange(128)), (m.sum(1) @ np.arange(128))]) / m.sum() for m in (blue, red)]
        distance = np.linalg.norm((found[[left, right]] + 0.5) * 128 - places, axis=1)
        swapped = np.linalg.norm((found[[right, left]] + 0.5) * 128 - places, axis=1)
        assert min(distance.max(), swapped.max()) < 1.0
        mirrored += swapped.max() < 1.0
    assert 5 < mirrored < 25  # in the mirror image left is right


def test_pictures_change_each_time_and_validation_does_not(folder, open_body):
    bank = CropBank(load_crops(folder / "set"), coarse_of(open_body), 128)
    rng = np.random.default_rng(0)
    a, b = (bank.batch(np.arange(4), rng, augment=True) for _ in range(2))
    assert (a.pictures.float() - b.pictures.float()).abs().mean() > 5
    c, d = (bank.batch(np.arange(4), rng, augment=False) for _ in range(2))
    assert torch.equal(c.pictures, d.pictures) and torch.equal(c.points, d.points)


def bump_at(points):
    """Log heat maps with one bump a point."""
    cells = torch.arange(64) / 64 - 0.5
    away = [(cells - points[..., k, None]).square() for k in (0, 1)]
    return log_heat(-40 * (away[0][:, :, None] + away[1][..., None]))


def test_true_answers_have_the_least_loss():
    torch.manual_seed(0)
    truth = 0.3 * torch.randn(2, 448, 2)
    edges = torch.tensor([[20, 30], [100, 200]])
    sure, C = torch.ones(2, 81), torch.zeros(2, 448, 81)

    def losses(mesh):
        seen = Seen(mesh[:, :81], sure, C, mesh, torch.full((2, 448), -4.0), bump_at(mesh[:, :81]))
        return image_losses(seen, truth, edges)

    exact, off = losses(truth), losses(truth + 0.05 * torch.randn_like(truth))
    assert all(exact[name] < off[name] for name in ("points", "heat", "mesh", "edge", "sigma"))
    assert exact["points"] == exact["mesh"] == exact["edge"] == 0
    outside = truth.clone()
    outside[:, :81] += 3.0
    sparse = 0 * truth[:, :81]
    far = image_losses(Seen(sparse, 0 * sure, C, truth, 0 * truth[..., 0], bump_at(sparse)), outside, edges)
    assert far["points"] == 0 and far["heat"] == 0  # what is not in the picture cannot be found there


@pytest.mark.parametrize("options", [[], ["--no-trimap"]])
def test_the_network_trains_from_the_command_line(folder, options):
    out = folder / ("without" if options else "with")
    argv = ["train", "image", "--crops", str(folder / "set"), "--val", str(folder / "set"), "--out", str(out)]
    assert main([*argv, "--steps", "2", "--batch", "3", "--threads", "1", *options]) == 0
    load_image(out / "image.safetensors")
    header, row = (line.split(",") for line in (out / "curve.csv").read_text().splitlines())
    assert ("render" in header) == (not options)
    values = dict(zip(header, map(float, row), strict=True))
    assert 0 < values["val_mesh"] < 1 and 0 <= values["val_band_iou"] <= 1
    assert main([*argv, "--steps", "3", "--batch", "3", "--threads", "1", *options]) == 0  # goes on
    assert (out / "curve.csv").read_text().splitlines()[-1].startswith("3,")


def test_errors_name_the_cure(folder, tmp_path, capsys):
    with pytest.raises(InputError, match="hmr train crops"):
        load_crops(tmp_path)
    argv = ["train", "image", "--crops", str(folder / "set"), "--val", str(folder / "set"), "--out", str(tmp_path)]
    assert main([*argv, "--size", "huge"]) == 1
    assert "choose from small, paper" in capsys.readouterr().err
    argv = ["train", "crops", "--motion", str(folder / "motion.npz"), "--out", str(tmp_path), "--side", "7"]
    assert main(argv) == 1
    assert "out of range" in capsys.readouterr().err
