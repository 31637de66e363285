"""From a configuration to a running pipeline: the only place that chooses files and devices."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hmr_ros.body.coarse import coarse_of, sparse_points
from hmr_ros.body.loading import asset, load_body
from hmr_ros.body.model import BodyModel
from hmr_ros.config import HmrConfig, validated
from hmr_ros.errors import AssetError, ConfigError
from hmr_ros.io.model_store import FETCH, HEAVY, blazepose_models, cache_folder, find_model, landmark_models
from hmr_ros.methods.conversion import BodyConversion
from hmr_ros.methods.kinematic import KinematicRecovery, Recovery
from hmr_ros.methods.posturehmr.recovery import KeypointPosture, PostureRecovery
from hmr_ros.methods.posturehmr.sources import IMAGE_CROP_PX, EngineImagePosture, EnginePosture, ImagePosture
from hmr_ros.methods.registry import MAX_LAG
from hmr_ros.methods.scorehmr.settings import KEYPOINTS, Guidance
from hmr_ros.methods.scorehmr.streaming import RefineEngine, ScoreRefinement
from hmr_ros.perception.detector import Detector
from hmr_ros.perception.landmarks import Landmarker
from hmr_ros.perception.tracker import PersonTracker
from hmr_ros.pipeline import Pipeline
from hmr_ros.runtime.contract import Engine
from hmr_ros.runtime.selection import Chosen, Wish, choose
from hmr_ros.types import Camera, Human

if TYPE_CHECKING:
    from hmr_ros.methods.scorehmr.multiview import View
    from hmr_ros.methods.scorehmr.prior import TorchPrior

_log = logging.getLogger(__name__)


def build_pipeline(config: HmrConfig) -> Pipeline:
    """The pipeline for live use: search spread over frames, so that every frame is answered in time."""
    config = validated(config)
    body = load_body(config.body or None)
    detector = Detector(blazepose_models().detector, config.detector.min_score, config.threads)
    models = landmark_models(config.tracker.landmark_network)
    landmarker = Landmarker(models, config.threads, config.tracker.flip_test)
    tracker = PersonTracker(detector, landmarker, config.tracker, config.detector)
    return Pipeline(body, tracker, build_recovery(config, body), refine_lag(config))


def build_recovery(config: HmrConfig, body: BodyModel) -> Recovery:
    """Learned recovery works on the open body, for which its networks were trained; another body is refitted."""
    if config.recover == "kinematic":
        return KinematicRecovery(body)  # leaves no evidence that could be refined
    trained_on = load_body(None)
    sparse = sparse_points(trained_on, coarse_of(trained_on))
    source = _image_source(config) if config.posture.mesh2d == "image" else _keypoint_source(config)
    recovery: Recovery = PostureRecovery(trained_on, sparse, source)
    if config.refine != "none":
        network = RefineEngine(choose_engine(config, "refine").engine)
        network.warm_up()
        guidance = KEYPOINTS if config.refine == "keypoints" else _over_time(config)
        recovery = ScoreRefinement(recovery, network, trained_on, guidance, refine_lag(config))
    return BodyConversion(recovery, body) if config.body else recovery


def _over_time(config: HmrConfig) -> Guidance:
    return Guidance(frames=config.temporal.window, sigma_ray=config.temporal.landmark_sigma_m)


def refine_lag(config: HmrConfig) -> int:
    """Frames by which the recovery is late: only refinement over time gains anything by waiting."""
    return config.temporal.lag if config.recover == "posture" and config.refine == "temporal" else 0


def _keypoint_source(config: HmrConfig) -> KeypointPosture:
    engine = choose_engine(config).engine
    engine.warm_up()
    return KeypointPosture(EnginePosture(engine))


def _image_source(config: HmrConfig) -> ImagePosture:
    """Other weights than the shipped ones have no export, and run in torch."""
    if config.posture.image_weights:
        if config.engine not in ("auto", "torch"):
            raise ConfigError(
                f"image_weights run with engine 'auto' or 'torch', not '{config.engine}'; change one of them"
            )
        image = _torch_image(Path(config.posture.image_weights), config.threads)
    else:
        image = choose_engine(config, "image").engine
    source = ImagePosture(EngineImagePosture(image, choose_engine(config, "decoder").engine))
    source.warm_up()
    return source


def _torch_image(weights: Path, threads: int) -> Engine:
    try:
        import torch

        from hmr_ros.methods.originals import torch_image
    except ModuleNotFoundError as error:
        raise AssetError(f"image_weights need {error.name}: pip install {error.name}") from error
    torch.set_num_threads(threads)
    return torch_image(weights=weights)


def choose_engine(config: HmrConfig, network: str = "posture") -> Chosen:
    """What runs the posture networks or live refinement, and why."""
    return choose(config.engine, engine_wish(config, network))


def engine_wish(config: HmrConfig, network: str = "posture") -> Wish:
    """Exported files may lie in the package or in the cache."""
    settings = {
        "posture": config.posture.steps,
        "decoder": config.posture.steps,
        "refine": config.temporal.window,
        "image": IMAGE_CROP_PX,
    }
    return Wish(network, settings[network], config.threads, (asset(""), model_folder()))


def model_folder() -> Path:
    """Where `hmr export` and `hmr build-engine` put their files."""
    return cache_folder() / "models"


def _prior() -> TorchPrior:
    """The diffusion prior in torch, which refinement of whole tracks needs."""
    try:
        import torch

        from hmr_ros.methods.scorehmr.prior import load_prior
    except ModuleNotFoundError as error:
        raise AssetError(
            f"refinement of whole tracks needs {error.name}: pip install {error.name}, or leave --quality out"
        ) from error
    torch.set_num_threads(1)  # its matrices are small; a second thread would only spin on the landmarks' core
    return load_prior()


@dataclass(frozen=True)
class WholeTracks:
    """What `--quality` does: a pipeline for the first pass, and the refinement of all that it found."""

    pipeline: Pipeline
    refine: Callable[[list[Human], dict[int, Camera]], list[Human]]


def build_quality(config: HmrConfig) -> WholeTracks:
    """For files: people are found first and refined with the frames before and after them."""
    if config.recover != "posture":
        raise ConfigError(f"--quality refines recover 'posture', not '{config.recover}'; leave one of them out")
    first = build_pipeline(offline(replace(config, refine="none", body="")))
    prior, target = _prior(), load_body(config.body) if config.body else None
    from hmr_ros.methods.scorehmr.offline import refine_tracks

    own = first.body
    first.body = target or own

    def refine(humans: list[Human], cameras: dict[int, Camera]) -> list[Human]:
        refined = refine_tracks(humans, cameras, prior, own)
        if target is None:
            return refined
        conversion = BodyConversion(first.recovery, target)
        return [conversion.convert([h], cameras[h.frame])[0] for h in refined]

    return WholeTracks(first, refine)


def build_multiview(config: HmrConfig) -> tuple[Pipeline, Callable[[list[View]], list[View]]]:
    """For several videos of one person: the pipeline for each, and the refinement of all together."""
    if config.recover != "posture" or config.body:
        raise ConfigError("several views need recover 'posture' and the open body; leave recover and body as they are")
    pipeline = build_pipeline(offline(replace(config, refine="none")))
    prior = _prior()
    from hmr_ros.methods.scorehmr.multiview import refine_views

    return pipeline, lambda views: refine_views(views, prior, pipeline.body)


def offline(config: HmrConfig, as_live: bool = False) -> HmrConfig:
    """The same configuration for files: latency does not matter, so the first frame is searched completely and every
    proposal is checked at once. Unless `as_live`, the landmarks are those of the ensemble of full and heavy (or of
    test-time augmentation where heavy is not installed), and refinement over time waits for the frames to come."""
    detector = replace(config.detector, scan_first_frame=True, before_answer=True, max_checks_per_frame=0)
    config = replace(config, detector=detector)
    if as_live:
        return config
    tracker = config.tracker
    if tracker.landmark_network == "auto":
        both = _has_heavy()
        tracker = replace(tracker, landmark_network="both" if both else "full", flip_test=tracker.flip_test or not both)
    temporal = replace(config.temporal, lag=config.temporal.lag or MAX_LAG)
    return replace(config, tracker=tracker, temporal=temporal)


def _has_heavy() -> bool:
    """Whether the heavy landmark network is installed; files are read without it too."""
    there = find_model(HEAVY) is not None
    if not there:
        _log.warning("%s is not installed: files are read with the full network alone; run `%s`", HEAVY.name, FETCH)
    return there
