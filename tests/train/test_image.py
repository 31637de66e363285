"""The image network learns from crops; laws of its losses, of silhouettes and of the render loss."""

import numpy as np
import pytest
import torch

from hmr_ros.body.coarse import coarse_faces, coarse_of
from hmr_ros.cli import main
from hmr_ros.methods.posturehmr.heatmaps import Seen, image_size, load_image, log_heat
from hmr_ros.train.data.crops import CropBank, load_crops
from hmr_ros.train.image import image_losses, iou_loss, render_loss, silhouette, train_image, trimap, trimap_loss
from hmr_ros.train.loop import Schedule
from hmr_ros.view.raster import mesh_mask


@pytest.fixture(scope="module")
def person(open_body):
    """The T-pose as 2D mesh [1,431,2] that fills two thirds of the crop, and its triangles."""
    mesh = coarse_of(open_body)
    uv = mesh.points(open_body).template[17:, :2] * [0.4, -0.4]
    uv = uv - (uv.min(0) + uv.max(0)) / 2
    return torch.as_tensor(uv)[None], torch.as_tensor(coarse_faces(open_body, mesh))


def test_the_silhouette_is_that_of_the_dense_mesh(open_body, person):
    uv, faces = person
    coarse = open_body.v_template[coarse_of(open_body).vertex_ids, :2] * [0.4, -0.4]
    middle = 32 - 64 * (coarse.min(0) + coarse.max(0)) / 2
    K = np.array([[64.0, 0, middle[0]], [0, 64.0, middle[1]], [0, 0, 1]])
    vertices = np.c_[open_body.v_template[:, :2] * [0.4, -0.4], np.ones(len(open_body.v_template))]
    sides = open_body.faces, open_body.faces[:, ::-1]  # only what faces the camera is drawn
    dense = np.maximum(*(mesh_mask(vertices, f, K, 64, 64) for f in sides)) > 0
    soft = silhouette(uv, faces)[0].numpy() > 0.75
    assert (soft & dense).sum() / (soft | dense).sum() > 0.75


def test_a_person_who_moves_keeps_the_shape(person):
    uv, faces = person
    mask, moved = silhouette(uv, faces), silhouette(uv + torch.tensor([3.0, -2.0]) / 64, faces)
    torch.testing.assert_close(moved, mask.roll((-2, 3), (1, 2)), atol=1e-6, rtol=0)


def test_equal_meshes_have_no_loss(person):
    mask = silhouette(*person)
    assert render_loss(mask, mask).abs().max() < 1e-6
    assert render_loss(silhouette(person[0] + 0.02, person[1]), mask).item() > 0.1


def test_gradient_is_that_of_finite_differences(person):
    uv, faces = person
    torch.manual_seed(0)
    true = silhouette(uv, faces)
    moved = (uv + 0.01 + 0.002 * torch.randn_like(uv)).requires_grad_()
    loss = render_loss(silhouette(moved, faces), true).sum()
    (gradient,) = torch.autograd.grad(loss, moved)
    direction = torch.randn_like(uv)
    step = 1e-7
    ahead, behind = (render_loss(silhouette(moved.detach() + s * direction, faces), true).sum() for s in (step, -step))
    assert (ahead - behind).item() / (2 * step) == pytest.approx((gradient * direction).sum().item(), rel=1e-3)


@pytest.mark.parametrize(("loss", "shift"), [(trimap_loss, (0.02, 0.0)), (render_loss, (-0.015, 0.02))])
def test_a_shifted_mesh_is_moved_back(person, loss, shift):
    uv, faces = person
    true = silhouette(uv, faces)
    at = torch.tensor([shift], dtype=uv.dtype).requires_grad_()
    optimizer = torch.optim.Adam([at], lr=0.003)
    for _ in range(20):
        optimizer.zero_grad()
        loss(silhouette(uv + at, faces), true).sum().backward()
        optimizer.step()
    assert at.detach().norm() < 0.25 * torch.tensor(shift).norm()


def test_only_the_band_counts(person):
    true = silhouette(*person)
    band = trimap(true)
    assert 0.05 < band.mean() < 0.5
    assert band[0, :3].sum() == 0  # far from the person
    torch.manual_seed(0)
    elsewhere = torch.where(band > 0, true, torch.rand_like(true))
    assert trimap_loss(elsewhere, true).abs().max() < 1e-6
    assert iou_loss(elsewhere, true).item() > 0.1
    noisy = torch.rand_like(true).requires_grad_()
    (gradient,) = torch.autograd.grad(trimap_loss(noisy, true).sum(), noisy)
    assert (gradient[band == 0] == 0).all()
    assert (gradient[band > 0] != 0).any()


def test_the_band_lies_on_both_sides_of_the_outline():
    mask = torch.zeros(1, 20, 20)
    mask[:, 5:15, 5:15] = 1.0
    band = trimap(mask, 2)[0]
    assert band[10].tolist() == [0.0] * 3 + [1.0] * 4 + [0.0] * 6 + [1.0] * 4 + [0.0] * 3


def test_a_mesh_far_outside_is_no_error(person):
    uv, faces = person
    far = (uv + 100.0).requires_grad_()
    mask = silhouette(far, faces)
    assert mask.max() < 1e-6
    render_loss(mask, silhouette(uv, faces)).sum().backward()
    assert torch.isfinite(far.grad).all()


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
    assert far["points"] == 0 and far["heat"] == 0  # what is not in the crop cannot be found there


@pytest.fixture
def trained(crops, open_body):
    """Trains on crops as they are, so that they can be memorised."""
    mesh, size = coarse_of(open_body), image_size("small")
    bank, held_back = (CropBank(load_crops(crops), mesh, size.crop_px) for _ in range(2))

    def run(out, steps, every, augment=True):
        plain = bank.batch

        def as_they_are(index, rng, **_):
            return plain(index, rng, augment=False)

        if not augment:
            bank.batch = as_they_are
        return train_image(
            bank, held_back, open_body, mesh, size, Schedule(out, steps, batch=4, every=every), with_render=True
        )

    run.bank = bank
    return run


def test_it_learns_the_crops_that_it_sees(trained, tmp_path, curve):
    trained(tmp_path, 120, 30, augment=False)
    rows = curve(tmp_path)
    for name in ("points", "heat", "mesh", "sigma"):
        assert rows[-1][name] < (0.95 * rows[0][name] if rows[0][name] > 0 else rows[0][name]), name


def test_a_resumed_training_is_the_unbroken_one(trained, tmp_path, monkeypatch, broken_off):
    whole = trained(tmp_path / "whole", 4, 2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        broken_off(patch, trained.bank, 3)
        trained(tmp_path / "parts", 4, 2)
    again = trained(tmp_path / "parts", 4, 2)
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), whole.state_dict().values(), strict=True))


@pytest.mark.parametrize("options", [[], ["--no-trimap"]])
def test_the_command_trains_and_goes_on(crops, tmp_path, curve, options):
    argv = ["train", "image", "--crops", str(crops), "--val", str(crops), "--out", str(tmp_path), "--batch", "3"]
    assert main([*argv, "--steps", "2", "--threads", "1", *options]) == 0
    load_image(tmp_path / "image.safetensors")
    (row,) = curve(tmp_path)
    assert ("render" in row) == (not options)
    assert 0 < row["val_mesh"] < 1 and 0 <= row["val_band_iou"] <= 1
    assert main([*argv, "--steps", "3", "--threads", "1", *options]) == 0
    assert curve(tmp_path)[-1]["step"] == 3


def test_a_size_that_is_not_there(crops, tmp_path, capsys):
    argv = ["train", "image", "--crops", str(crops), "--val", str(crops), "--out", str(tmp_path)]
    assert main([*argv, "--size", "huge"]) == 1
    assert "choose from small, paper" in capsys.readouterr().err
