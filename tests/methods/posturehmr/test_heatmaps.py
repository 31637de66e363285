"""Laws of the image network: soft-argmax, adaptive C, sizes."""

import pytest
import torch

from hmr_ros.errors import ConfigError
from hmr_ros.methods.posturehmr.heatmaps import AdaptiveMesh, ImageMesh, ImageSize, image_size, log_heat, soft_argmax


def heat_map(x, y, side=64):
    """Logits of one bump at cell (x, y)."""
    grid = torch.arange(side, dtype=torch.float32)
    return -((grid[None] - x) ** 2 + (grid[:, None] - y) ** 2)[None, None] / 15


def test_soft_argmax_finds_a_bump_between_the_cells():
    points, confidence = soft_argmax(log_heat(heat_map(20.25, 40.75)))
    torch.testing.assert_close(points[0, 0], torch.tensor([20.25, 40.75]) / 64 - 0.5, atol=1e-4, rtol=0)
    assert 0 < confidence < 1


def test_confidence_is_the_heat_at_the_point():
    """A sharp map is sure, a flat one knows nothing, two far bumps put the point where there is no heat."""
    flat = soft_argmax(log_heat(torch.zeros(1, 1, 64, 64)))[1]
    sharp = soft_argmax(log_heat(100 * heat_map(30, 30)))[1]
    torn = soft_argmax(log_heat(torch.maximum(heat_map(10, 30), heat_map(50, 30))))[1]
    assert flat.item() == pytest.approx(1 / 64**2)
    assert sharp.item() == pytest.approx(1.0)
    assert torn.item() < 1e-6


def test_moving_the_heat_moves_the_points():
    maps = torch.nn.functional.pad(torch.randn(2, 3, 32, 32), (16, 16, 16, 16), value=-100.0)
    a, sure_a = soft_argmax(log_heat(maps))
    b, sure_b = soft_argmax(log_heat(maps.roll((4, -8), (2, 3))))
    torch.testing.assert_close(b - a, torch.tensor([-8.0, 4.0]).expand_as(a) / 64, atol=1e-5, rtol=0)
    torch.testing.assert_close(sure_a, sure_b)


def carrier(points=20, sparse=6):
    torch.manual_seed(0)
    net = AdaptiveMesh(points, sparse)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return net


def test_rows_of_c_sum_to_one_and_follow_the_confidences():
    net, confidence = carrier(), torch.rand(5, 6)
    C, log_sigma = net(confidence)
    torch.testing.assert_close(C.sum(-1), torch.ones(5, 20))
    other = confidence.clone()
    other[:, 2] += 0.5
    assert (net(other)[0] - C).abs().max() > 1e-2
    few, sigma_few = net(confidence, 8)
    torch.testing.assert_close(few, C[:, :8])
    torch.testing.assert_close(sigma_few, log_sigma[:, :8])


def test_an_untrained_c_is_its_base():
    net = AdaptiveMesh(20, 6)
    weights = torch.softmax(torch.randn(14, 6), -1)
    net.start_from(weights)
    C, _ = net(torch.zeros(1, 6))
    torch.testing.assert_close(C[0], torch.cat([torch.eye(6), weights]))


def small():
    torch.manual_seed(0)
    net = ImageMesh(image_size("small"))
    torch.nn.init.normal_(net.carry.coefficients.weight, std=0.01)
    return net


def test_the_small_network_is_small():
    net = small()
    count = sum(p.numel() for name, p in net.named_parameters() if not name.startswith("carry"))
    assert count < 2e6
    operations = 0

    def note(layer, _, out):
        nonlocal operations
        operations += out[0].numel() * layer.weight[0].numel()

    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(note)
    with torch.no_grad():
        seen = net.eval()(torch.rand(1, 3, 128, 128))
    assert operations < 150e6  # multiplications; each with an addition
    assert [tuple(t.shape) for t in seen] == [(1, 81, 2), (1, 81), (1, 448, 81), (1, 448, 2), (1, 448), (1, 81, 64, 64)]
    assert seen.points.abs().max() <= 0.5


@pytest.mark.parametrize("size", ["small", "paper"])
def test_sizes_have_heat_maps_of_64_cells(size):
    with torch.device("meta"):
        net = ImageMesh(image_size(size))
        side = net.size.crop_px
        assert net.heat(net.backbone(torch.empty(1, 3, side, side))).shape == (1, 81, 64, 64)


def test_people_do_not_touch_each_other():
    net, crops = small().eval(), torch.rand(3, 3, 128, 128)
    with torch.no_grad():
        whole, part = net(crops), net(crops[[2, 0]])
    for a, b in zip(whole, part, strict=True):
        torch.testing.assert_close(a[[2, 0]], b, atol=1e-4, rtol=1e-4)


def test_the_mesh_does_not_pull_at_the_key_points():
    net = small()
    seen = net(torch.rand(2, 3, 128, 128))
    (seen.mesh.sum() + seen.log_sigma.sum() + seen.coefficients.square().sum()).backward()
    assert all(p.grad is None or p.grad.abs().max() == 0 for p in net.backbone.parameters())
    assert net.carry.coefficients.weight.grad.abs().max() > 0


def test_unknown_sizes_are_named():
    with pytest.raises(ConfigError, match="choose from small, paper"):
        image_size("huge")
    with pytest.raises(ConfigError, match="choose from small, hrnet"):
        ImageMesh(ImageSize("vgg"))
    with pytest.raises(ConfigError, match="256 pixels"):
        ImageMesh(ImageSize("hrnet", 128, 4))
