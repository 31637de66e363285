"""From a configuration to a running pipeline: the only place that chooses files and devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hmr_ros.body.loading import load_body
from hmr_ros.body.model import BodyModel
from hmr_ros.config import HmrConfig
from hmr_ros.errors import AssetError, ConfigError, NotBuiltError
from hmr_ros.io.assets import blazepose_models
from hmr_ros.pipeline import Pipeline
from hmr_ros.stages.convert import BodyConversion
from hmr_ros.stages.detect import Detector
from hmr_ros.stages.keypoints import Landmarker
from hmr_ros.stages.recover import KinematicRecovery, Recovery
from hmr_ros.stages.track import PersonTracker
from hmr_ros.types import Camera, Human

if TYPE_CHECKING:
    from hmr_ros.stages.multiview import View

# Documented values whose part does not exist yet, and what to use meanwhile.
_NOT_BUILT = {
    "engine": {"torch": "auto", "onnxruntime": "auto", "tensorrt": "auto"},
}


def check_built(config: HmrConfig) -> None:
    """NotBuiltError for a documented choice that this version cannot serve."""
    for name, missing in _NOT_BUILT.items():
        value = getattr(config, name)
        if value in missing:
            raise NotBuiltError(f"{name} '{value}' is not part of this version; use '{missing[value]}'")


def build_pipeline(config: HmrConfig) -> Pipeline:
    """The pipeline for live use: search spread over frames, so that every frame is answered in time."""
    check_built(config)
    body = load_body(config.body or None)
    models = blazepose_models()
    detector = Detector(models.detector, config.detector.min_score, config.threads)
    landmarker = Landmarker(models.landmarks, config.threads)
    tracker = PersonTracker(detector, landmarker, config.tracker, config.detector)
    return Pipeline(body, tracker, _recovery(config, body))


def _recovery(config: HmrConfig, body: BodyModel) -> Recovery:
    """Learned recovery works on the open body, for which its networks were trained; another body is refitted."""
    if config.recover == "kinematic":
        return KinematicRecovery(body)  # leaves no evidence that could be refined
    try:
        import torch

        from hmr_ros.posture.networks import coarse_of, load_torch_posture, sparse_points
        from hmr_ros.posture.prior import load_prior
        from hmr_ros.stages.guided import KEYPOINTS, Guidance
        from hmr_ros.stages.posture import PostureRecovery
        from hmr_ros.stages.refine import ScoreRefinement
    except ModuleNotFoundError as error:
        raise AssetError(
            f"recover 'posture' needs {error.name}: pip install {error.name}, or use 'kinematic'"
        ) from error
    torch.set_num_threads(config.threads)
    trained_on = load_body(None)
    sparse = sparse_points(trained_on, coarse_of(trained_on))
    recovery: Recovery = PostureRecovery(trained_on, sparse, load_torch_posture(trained_on, config.steps))
    if config.refine != "none":
        guidance = KEYPOINTS if config.refine == "keypoints" else Guidance(frames=config.window)
        recovery = ScoreRefinement(recovery, load_prior(), trained_on, guidance)
    return BodyConversion(recovery, body) if config.body else recovery


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
    from hmr_ros.posture.prior import load_prior
    from hmr_ros.stages.quality import refine_tracks

    prior, target = load_prior(), load_body(config.body) if config.body else None
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
    from hmr_ros.posture.prior import load_prior
    from hmr_ros.stages.multiview import refine_views

    prior = load_prior()
    return pipeline, lambda views: refine_views(views, prior, pipeline.body)


def offline(config: HmrConfig) -> HmrConfig:
    """The same configuration for files: latency does not matter, so the first frame is searched completely and
    every proposal is checked at once."""
    detector = replace(config.detector, scan_first_frame=True, before_answer=True, max_checks_per_frame=0)
    return replace(config, detector=detector)
