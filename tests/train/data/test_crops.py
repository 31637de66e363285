"""Crops for the image network: made, kept, and drawn with their points on the right pixels."""

import cv2
import numpy as np
import pytest
import torch

from hmr_ros.body.coarse import coarse_of
from hmr_ros.cli import main
from hmr_ros.errors import InputError
from hmr_ros.train.data import crops as module
from hmr_ros.train.data.crops import CropBank, CropSet, decoded, load_crops


def test_people_stand_in_the_middle_of_their_crops(crops):
    crops = load_crops(crops)
    assert len(crops) == 10 and crops.points.shape == (10, 448, 2)
    assert decoded(crops.jpeg[-1]).shape == (96, 96, 3)
    assert np.abs(crops.points[:, 0]).max() < 0.2  # pelvis
    assert (crops.points[:, 10, 1] < crops.points[:, 5:7, 1].mean(1)).all()  # head above the ankles
    assert 0.3 < np.median(np.ptp(crops.points[..., 1], axis=1)) < 1.0


MADE = ["--plain", "--look", "painted", "--side", "96"]  # as the fixture


def test_finished_files_are_kept(crops, motion_file):
    file = next(crops.glob("*.npz"))
    before = file.stat().st_mtime_ns
    argv = ["train", "crops", "--motion", str(motion_file), "--out", str(crops), *MADE]
    assert main([*argv, "--count", "10", "--workers", "1"]) == 0
    assert file.stat().st_mtime_ns == before


def test_points_stay_on_their_pixels(open_body, monkeypatch):
    """Two discs of different colours: however a crop is turned, shifted and mirrored, each lies at its point."""
    mesh, side = coarse_of(open_body), 192
    left, right = 5, 6  # ankles
    image, points = np.zeros((side, side, 3), np.uint8), np.zeros((1, 448, 2), np.float32)
    for point, at, color in ((left, (80, 70), (255, 0, 0)), (right, (115, 120), (0, 0, 255))):
        cv2.circle(image, at, 6, color, -1)
        points[0, point] = np.array(at) / side - 0.5
    bank = CropBank(CropSet([cv2.imencode(".jpg", image)[1].reshape(-1)], points, side), mesh, 128)
    for change in ("recoloured", "covered"):
        monkeypatch.setattr(module, change, lambda crop, rng: crop)
    batch = bank.batch(np.zeros(30, int), np.random.default_rng(0), augment=True)
    mirrored = 0
    for crop, found in zip(batch.images.numpy().astype(float), batch.points.numpy(), strict=True):
        blue, red = (np.where(crop[c] > 60, crop[c], 0.0) for c in (0, 2))
        places = [np.array([(m.sum(0) @ np.arange(128)), (m.sum(1) @ np.arange(128))]) / m.sum() for m in (blue, red)]
        distance = np.linalg.norm((found[[left, right]] + 0.5) * 128 - places, axis=1)
        swapped = np.linalg.norm((found[[right, left]] + 0.5) * 128 - places, axis=1)
        assert min(distance.max(), swapped.max()) < 1.0
        mirrored += swapped.max() < 1.0
    assert 5 < mirrored < 25  # in the mirror image left is right


def test_crops_change_each_time_and_validation_does_not(crops, open_body):
    bank = CropBank(load_crops(crops), coarse_of(open_body), 128)
    rng = np.random.default_rng(0)
    a, b = (bank.batch(np.arange(4), rng, augment=True) for _ in range(2))
    assert (a.images.float() - b.images.float()).abs().mean() > 5
    c, d = (bank.batch(np.arange(4), rng, augment=False) for _ in range(2))
    assert torch.equal(c.images, d.images) and torch.equal(c.points, d.points)


def test_errors_name_the_cure(motion_file, tmp_path, capsys):
    with pytest.raises(InputError, match="hmr train crops"):
        load_crops(tmp_path)
    argv = ["train", "crops", "--motion", str(motion_file), "--out", str(tmp_path), "--side", "7"]
    assert main(argv) == 1
    assert "out of range" in capsys.readouterr().err
