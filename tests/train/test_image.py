"""Laws of the render loss: nothing for equal meshes, true gradients, and only the band counts."""

import numpy as np
import pytest
import torch

from hmr_ros.body.coarse import coarse_faces, coarse_of
from hmr_ros.train.image import iou_loss, render_loss, silhouette, trimap, trimap_loss
from hmr_ros.view.raster import mesh_mask


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """The arrays are small; other tests leave more threads behind, which would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
