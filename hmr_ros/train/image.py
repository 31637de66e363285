"""Training of the image network on crops of rendered people (PostureHMR 3.4, VirtualMarker).

The training and its losses; its validation; soft silhouettes and the render loss of Eq. 6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hmr_ros.body.coarse import NUM_SPARSE, NUM_VERTICES, CoarseMesh, coarse_faces
from hmr_ros.body.model import BodyModel
from hmr_ros.methods.posturehmr.heatmaps import ImageMesh, ImageSize, Seen
from hmr_ros.train.data.crops import CropBank, CropBatch
from hmr_ros.train.loop import Losses, Schedule, train

# VirtualMarker's, with its millimetres turned into crop sides (a crop shows about two metres); its surface normals are
# left out, for a 2D mesh has none. Its heat loss wants heat wherever the point came to lie; here it is wanted at the
# true cell, for without a backbone that knows people maps grow sharp in wrong places, and nothing pulls them out.
# PostureHMR weighs its render loss with 10 beside an L1 of unknown unit; at 1 it pulls a person who is off by a pixel
# about half as hard (30 a crop side) as the L1 of the points does (50) and makes outlines better at the points' cost,
# at 0.2 both gain.
_WEIGHTS = {"points": 100.0, "heat": 0.3, "mesh": 200.0, "edge": 20.0, "sigma": 0.1, "render": 0.2}
_MAX_ERROR = 0.5  # crop sides; a point far outside teaches nothing
_RENDERED = 4  # every so many-th crop is rendered: the loss costs a third of the small network
_CHECKED, _CHUNK = 500, 50  # crops of the validation, and how many at once

SIDE = 64  # pixels of the masks
BAND_PX = 2  # the paper's l; its value is not public
_BLUR_PX2 = 0.5
_REACH_PX = 4  # a triangle reaches so many pixels from its middle
_SOLID = 0.75  # coverage of what lies less than 0.4 pixels outside
_FAR_PX2 = 1e3
_TINY = 1e-8


@dataclass(frozen=True)
class _Drawn:
    """One step's crops, and the true masks of those that are rendered."""

    batch: CropBatch
    masks: Tensor | None


def train_image(
    bank: CropBank, held_back: CropBank, body: BodyModel, mesh: CoarseMesh, size: ImageSize, schedule: Schedule,
    *, with_render: bool, start: ImageMesh | None = None,
) -> ImageMesh:  # fmt: skip
    """Losses of `image_losses`; `with_render` = False is the ablation of the trimap loss. Goes on from `start`."""
    torch.manual_seed(schedule.seed)
    model = ImageMesh(size) if start is None else start
    if start is None:
        model.carry.start_from(torch.as_tensor(mesh.sparse_to_coarse, dtype=torch.float32))
    device = schedule.device
    faces = torch.as_tensor(coarse_faces(body, mesh), device=device)
    edges = torch.as_tensor(np.argwhere(np.triu(mesh.adjacency, 1) > 0), device=device) + size.points - NUM_VERTICES

    @torch.no_grad()
    def prepare(rng: np.random.Generator) -> _Drawn:
        batch = bank.batch(rng.integers(0, len(bank), schedule.batch), rng, augment=True).to(device)
        return _Drawn(batch, silhouette(batch.points[::_RENDERED, -NUM_VERTICES:], faces) if with_render else None)

    def step(net: nn.Module, drawn: _Drawn) -> Losses:
        seen = Seen(*(t.float() for t in net(drawn.batch.inputs())))
        losses = image_losses(seen, drawn.batch.points, edges)
        if drawn.masks is not None:
            # the other losses of the mesh leave the key points alone; this one is there to move them
            mesh_2d = seen.coefficients[::_RENDERED, -NUM_VERTICES:] @ seen.points[::_RENDERED]
            losses["render"] = render_loss(silhouette(mesh_2d, faces), drawn.masks).mean()
        return {name: _WEIGHTS[name] * value for name, value in losses.items()}

    def validate(net: nn.Module) -> dict[str, float]:
        return image_errors(net, held_back, faces, device)

    trained = train(model, prepare, step, validate, schedule)
    assert isinstance(trained, ImageMesh)
    return trained


def image_losses(seen: Seen, truth: Tensor, edges: Tensor) -> Losses:
    """Unweighted: L1 of the 81 points and -log of the heat at the true cell where they lie in the crop; L1 and edge
    lengths of the mesh [B,448,2]; Laplace likelihood of its errors."""
    sparse = truth[:, :NUM_SPARSE]
    inside = (sparse.abs() < 0.5).all(-1)
    count = inside.sum().clamp(min=1)
    distance = (seen.points - sparse).abs().sum(-1)
    error = (seen.mesh - truth).clamp(-_MAX_ERROR, _MAX_ERROR)
    away = error.detach().norm(dim=-1)
    lengths = [(m[:, edges[:, 0]] - m[:, edges[:, 1]]).norm(dim=-1) for m in (seen.mesh, truth)]
    return {
        "points": (distance * inside).sum() / count / 2,
        "heat": -(heat_at(seen.heat, sparse) * inside).sum() / count,
        "mesh": error.abs().mean(),
        "edge": (lengths[0] - lengths[1]).abs().clamp(max=_MAX_ERROR).mean(),
        "sigma": (away * torch.exp(-seen.log_sigma) + 2 * seen.log_sigma).mean(),
    }


def heat_at(log_heat: Tensor, points: Tensor) -> Tensor:
    """[B,K] what the maps [B,K,h,w] say at the cells of `points` [B,K,2], or at the nearest ones."""
    h, w = log_heat.shape[-2:]
    sides = torch.tensor([w, h], device=points.device)
    x, y = ((points + 0.5) * sides).round().long().unbind(-1)
    cell = y.clamp(0, h - 1) * w + x.clamp(0, w - 1)
    return log_heat.flatten(2).gather(2, cell[..., None])[..., 0]


@torch.inference_mode()
def image_errors(net: nn.Module, bank: CropBank, faces: Tensor, device: str) -> dict[str, float]:
    """On crops as the tracker cuts them: mean and median distance in crop sides of what lies in the crop, and the IoU
    of the silhouettes in the trimap."""
    points, mesh, overlap = [], [], []
    rng = np.random.default_rng(0)
    for start in range(0, min(len(bank), _CHECKED), _CHUNK):
        index = np.arange(start, min(start + _CHUNK, len(bank)))
        batch = bank.batch(index, rng, augment=False).to(device)
        seen = Seen(*(t.float() for t in net(batch.inputs())))
        inside = (batch.points.abs() < 0.5).all(-1)
        error = (seen.mesh - batch.points).norm(dim=-1)
        mesh.append(error[inside])
        sparse = (seen.points - batch.points[:, :NUM_SPARSE]).norm(dim=-1)
        points.append(sparse[inside[:, :NUM_SPARSE]])
        true = silhouette(batch.points[::_RENDERED, -NUM_VERTICES:], faces)
        ours = silhouette(seen.mesh[::_RENDERED, -NUM_VERTICES:], faces)
        overlap.append(1.0 - iou_loss(ours, true, trimap(true)))
    every = torch.cat(mesh)
    return {
        "val_points": float(torch.cat(points).mean()), "val_mesh": float(every.mean()),
        "val_mesh_median": float(every.median()), "val_band_iou": float(torch.cat(overlap).mean()),
    }  # fmt: skip


def silhouette(mesh: Tensor, faces: Tensor, side: int = SIDE) -> Tensor:
    """Soft mask [B,side,side], 0..1, of vertices [B,V,2] in crop sides from the middle and triangles [T,3]."""
    # a mesh thrown far away must not overflow; pixel centres lie at 0.5, 1.5 ...
    corners = ((mesh.clamp(-4.0, 4.0) + 0.5) * side)[:, faces]  # [B,T,3,2]
    steps = torch.arange(-_REACH_PX, _REACH_PX + 1, device=mesh.device)
    dy, dx = torch.meshgrid(steps, steps, indexing="ij")
    middle = corners.detach().mean(2).floor().long()
    x, y = middle[..., :1] + dx.flatten(), middle[..., 1:] + dy.flatten()  # [B,T,N]
    distance = _squared_distance(x + 0.5, y + 0.5, corners)
    inside = (x >= 0) & (x < side) & (y >= 0) & (y < side)
    at = (y * side + x).masked_fill(~inside, side * side)  # one more pixel takes what lies outside
    nearest = torch.full((len(mesh), side * side + 1), _FAR_PX2, device=mesh.device, dtype=mesh.dtype)
    nearest = nearest.scatter_reduce(1, at.flatten(1), distance.flatten(1), "amin")
    return torch.exp(-nearest[:, :-1] / _BLUR_PX2).reshape(-1, side, side)


def trimap(true: Tensor, band_px: int = BAND_PX) -> Tensor:
    """C_tri: 1 within `band_px` pixels of the outline of the true masks [B,h,w], else 0."""
    solid = (true.detach() > _SOLID).to(true)[:, None]
    size = 2 * band_px + 1
    grown = functional.max_pool2d(solid, size, 1, band_px)
    shrunk = -functional.max_pool2d(-solid, size, 1, band_px)
    return (grown - shrunk)[:, 0]


def iou_loss(predicted: Tensor, true: Tensor, region: Tensor | None = None) -> Tensor:
    """1 - intersection over union of soft masks [B,h,w], only where `region` is 1; [B]."""
    weight = torch.ones_like(true) if region is None else region
    both = (torch.minimum(predicted, true) * weight).sum((1, 2))
    either = (torch.maximum(predicted, true) * weight).sum((1, 2))
    return 1.0 - (both + _TINY) / (either + _TINY)


def trimap_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """The part of Eq. 6 that sees the band around the true outline alone; [B]."""
    return iou_loss(predicted, true, trimap(true))


def render_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Eq. 6: 2 - IoU - IoU within the trimap, of soft masks [B,h,w]; [B]."""
    return iou_loss(predicted, true) + trimap_loss(predicted, true)


def _squared_distance(x: Tensor, y: Tensor, corners: Tensor) -> Tensor:
    """From points x, y [B,T,N] to triangles [B,T,3,2], either way round; 0 inside."""
    nearest: Tensor | None = None
    turns = []
    for k in range(3):
        (ax, ay), (bx, by) = (corners[:, :, i % 3, :, None].unbind(2) for i in (k, k + 1))
        ex, ey, px, py = bx - ax, by - ay, x - ax, y - ay
        along = ((px * ex + py * ey) / (ex * ex + ey * ey + _TINY)).clamp(0.0, 1.0)
        gap = (px - along * ex).square() + (py - along * ey).square()
        nearest = gap if nearest is None else torch.minimum(nearest, gap)
        turns.append((px * ey - py * ex).detach())
    assert nearest is not None
    low = torch.minimum(torch.minimum(turns[0], turns[1]), turns[2])
    high = torch.maximum(torch.maximum(turns[0], turns[1]), turns[2])
    return nearest.masked_fill((low >= 0) | (high <= 0), 0.0)
