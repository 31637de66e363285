"""`mesh2d: image`: crops, frames and units agree, and a true 2D mesh leads to the true person."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.coarse import JOINT_IDS, coarse_of
from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.cli import main
from hmr_ros.config import HmrConfig, PostureConfig
from hmr_ros.errors import AssetError, ConfigError
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.evidence.record import EvidenceMaker, keypoints_of
from hmr_ros.factory import build_pipeline, build_stages, offline
from hmr_ros.geometry.camera import project
from hmr_ros.geometry.crops import crop_matrix, transform_points
from hmr_ros.methods.posturehmr.graphs import decoder_graph, image_graph
from hmr_ros.methods.posturehmr.heatmaps import ImageMesh, image_size
from hmr_ros.methods.posturehmr.recovery import PostureRecovery
from hmr_ros.methods.posturehmr.sources import ImagePosture, aimed
from hmr_ros.networks.weights import save_weights
from hmr_ros.runtime.contract import Engine
from hmr_ros.runtime.torch import TorchEngine
from hmr_ros.types import Camera, Frame


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """An untrained image network on disk."""
    path = tmp_path_factory.mktemp("weights") / "image.safetensors"
    network = ImageMesh(image_size("small"))
    save_weights(path, "image", network, network.size, {})
    return path


@pytest.fixture(scope="module")
def tracked(rendered):
    """Frames with their tracks and truths."""
    images, truths, camera = rendered
    tracker = build_pipeline(offline(HmrConfig(refine="none"))).tracker
    frames = [Frame(i, i * 66_000_000, image, camera) for i, image in enumerate(images)]
    return [(frame, tracker.step(frame), truth) for frame, truth in zip(frames, truths, strict=True)]


def in_crop(track, pixels, side=128):
    roi = track.keypoints.next_roi
    return transform_points(crop_matrix(roi, side), pixels) / side - 0.5


@pytest.mark.parametrize("distortion", [None, np.array([-0.2, 0.05, 0.001, -0.002, 0.0])])
def test_points_of_a_crop_come_back_as_the_landmarks_do(tracked, distortion):
    frame, tracks, _ = tracked[3]
    camera = Camera(frame.camera.K, frame.camera.width, frame.camera.height, distortion)
    seen = keypoints_of(EvidenceMaker(None)(replace(frame, camera=camera), tracks))
    mesh = np.array([in_crop(t, t.keypoints.keypoints_2d[:, :2]) for t in tracks])
    rois = [t.keypoints.next_roi for t in tracks]
    uv, sigma = aimed(mesh, np.full(mesh.shape[:2], 0.01), rois, camera, seen)
    np.testing.assert_allclose(uv, seen.points[..., :2], atol=1e-9)
    away, _ = aimed(mesh + np.array([0.01, 0.0]), sigma, rois, camera, seen)
    np.testing.assert_allclose(np.linalg.norm(away - uv, axis=-1), sigma, rtol=0.3)


class Oracle(Engine):
    """An image network that knows the truth."""

    kind = "torch"

    def __init__(self, truths):
        self._truths = iter(truths)
        graph = image_graph(128, {})
        super().__init__(graph.signature, "cpu", "float32")

    def _run(self, inputs):
        assert inputs["images"].shape == (1, 3, 128, 128)
        assert inputs["images"].std() > 0.02  # something is to be seen
        return {"mesh": next(self._truths)[None].astype(np.float32), "sigma": np.full((1, 81), 0.005, np.float32)}


def test_a_true_mesh_leads_to_the_person(tracked, open_body):
    mesh = coarse_of(open_body)
    rows = [(f, t[:1], truth) for f, t, truth in tracked if t]
    true = []
    for frame, tracks, truth in rows:
        xyz = np.concatenate([truth.joints[JOINT_IDS], truth.vertices[mesh.vertex_ids[:64]]])
        true.append(in_crop(tracks[0], project(xyz, frame.camera.K)))
    evidence = EvidenceMaker(ImagePosture(Oracle(true), TorchEngine(decoder_graph(2, {}))))
    recovery = PostureRecovery(open_body)
    ours = np.array([recovery(f, tracks, evidence(f, tracks))[0].joints for f, tracks, _ in rows])[:, SMPL_LIMBS]
    found = procrustes_errors(ours, np.array([truth.joints for *_, truth in rows])[:, SMPL_LIMBS]).mean()
    assert found < 60  # mm, as from key points


def test_the_configuration_chooses_it(tracked, weights):
    config = HmrConfig(posture=PostureConfig(mesh2d="image", image_weights=str(weights)), threads=1)
    stages = build_stages(config)
    frame, tracks, _ = tracked[0]

    def recovered(people):
        return stages.recovery(frame, people, stages.evidence(frame, people))

    (estimate,) = recovered(tracks[:1])
    assert np.isfinite(estimate.joints).all() and estimate.joints.shape == (24, 3)
    assert recovered([]) == []
    crowd = [replace(tracks[0], track_id=100 + i) for i in range(2)]
    assert len(recovered(crowd)) == 2
    keypoints = build_stages(HmrConfig(threads=1))
    assert not np.allclose(keypoints.evidence(frame, tracks)[0].posture.points_2d,
                           stages.evidence(frame, tracks)[0].posture.points_2d, atol=1e-3)  # fmt: skip


def test_missing_weights_and_foreign_engines_are_explained(tmp_path, capsys):
    with pytest.raises(AssetError, match="hmr train image") as caught:
        build_stages(HmrConfig(posture=PostureConfig(mesh2d="image", image_weights=str(tmp_path / "none.safetensors"))))
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="'auto' or 'torch'"):
        build_stages(
            HmrConfig(posture=PostureConfig(mesh2d="image", image_weights="w.safetensors"), engine="onnxruntime")
        )
    (tmp_path / "c.yaml").write_text("posture: {mesh2d: image, image_weights: none.safetensors}")
    (tmp_path / "p.png").write_bytes(b"")
    argv = ["run", str(tmp_path / "p.png"), "--out", str(tmp_path / "o"), "--config", str(tmp_path / "c.yaml")]
    assert main(argv) == 1
    said = capsys.readouterr().err
    assert said.startswith("hmr: ") and said.count("\n") == 1
