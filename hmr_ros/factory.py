"""From a configuration to a running pipeline: the only place that chooses files and devices."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hmr_ros.body.loading import load_body
from hmr_ros.body.model import BodyModel
from hmr_ros.config import HmrConfig, settings, validated
from hmr_ros.errors import AssetError, ConfigError
from hmr_ros.evidence.record import EvidenceMaker, PostureSource
from hmr_ros.geometry.turn import Turn
from hmr_ros.io.model_store import FETCH, HEAVY, asset, cache_folder, find_model, landmark_models
from hmr_ros.methods.contract import Observation, Parts
from hmr_ros.methods.conversion import BodyConversion
from hmr_ros.methods.dummy_inputs import make_inputs
from hmr_ros.methods.posturehmr.sources import ImagePosture, KeypointPosture
from hmr_ros.methods.registry import (
    AUTO_CALIBRATION,
    CALIBRATIONS,
    HYPOTHESES,
    MAX_LAG,
    NETWORKS,
    RECOVERIES,
    REFINEMENTS,
    Method,
    load,
)
from hmr_ros.perception.external import ExternalFinder, FedTracker
from hmr_ros.perception.finders import Shrinking, build_finder, settled
from hmr_ros.perception.landmarks import Landmarker
from hmr_ros.perception.limbs import LimbReader
from hmr_ros.perception.tracker import PersonTracker
from hmr_ros.pipeline import Pipeline, Stages
from hmr_ros.runtime.contract import Engine
from hmr_ros.runtime.selection import EngineRequest, EngineSelection, select
from hmr_ros.types import Human

if TYPE_CHECKING:
    from hmr_ros.methods.scorehmr.multiview import View
    from hmr_ros.methods.scorehmr.prior import TorchPrior

_log = logging.getLogger(__name__)


def build_pipeline(config: HmrConfig, *, whole_tracks: bool = False) -> Pipeline:
    """The pipeline for live use: search spread over frames, so that every frame is answered in time; `whole_tracks` as
    in `build_stages`."""
    config = validated(config)
    turn = Turn(config.input.rotate)  # refused before anything is loaded
    target = load_body(config.body or None)
    search = settled(config.detector)
    detector = build_finder(search, config.threads)
    models = landmark_models(config.tracker.landmark_network)
    landmarker = Landmarker(models, config.threads, config.tracker.flip_test, _limbs(config, whole_tracks))
    given = detector if isinstance(detector, ExternalFinder) else None
    tracker = PersonTracker(given or Shrinking(detector), landmarker, config.tracker, search)
    fed = FedTracker(tracker, given) if given else tracker
    stages = build_stages(config, target, whole_tracks=whole_tracks)
    return Pipeline(target, fed, stages, turn)


def build_stages(config: HmrConfig, target: BodyModel | None = None, *, whole_tracks: bool = False) -> Stages:
    """What a frame goes through after tracking. Learned methods work on the open body, for which their networks were
    trained; another body is refitted to their answer.

    `target` is the body of the configuration where it is loaded already. `whole_tracks`: refinement comes afterwards,
    when all frames have been observed, and reads the same evidence.
    """
    recovery = RECOVERIES[config.recover]
    refinement, chosen, sampler = _methods(config, whole_tracks)
    direct = recovery.any_body and refinement is None and chosen is None and not whole_tracks
    target = target or load_body(config.body or None)
    body = target if direct else load_body(None)
    posture = _reads_posture(config, whole_tracks)
    if config.calibrate == "auto" and posture:
        chosen = CALIBRATIONS[AUTO_CALIBRATION]
    parts = Parts(config, body, lambda network: _warm(choose_engine(config, network).engine))
    hypotheses, calibrate, refine = (load(m.build)(parts) if m else None for m in (sampler, chosen, refinement))
    return Stages(
        EvidenceMaker(_source(recovery, parts) if posture else None, recovery.needs_heat), load(recovery.build)(parts),
        hypotheses=hypotheses, calibration=calibrate, refinement=refine,
        conversion=BodyConversion(target) if config.body and not direct else None,
    )  # fmt: skip


def _methods(config: HmrConfig, whole_tracks: bool) -> tuple[Method | None, Method | None, Method | None]:
    """Refinement, calibration and sampler that are asked for."""
    refinement = None if whole_tracks else REFINEMENTS.get(config.refine)
    chosen = None if config.calibrate in ("none", "auto") else CALIBRATIONS[config.calibrate]
    return refinement, chosen, _sampler(RECOVERIES[config.recover]) if config.hypotheses.count else None


def _reads_posture(config: HmrConfig, whole_tracks: bool) -> bool:
    """Whether anybody reads the 81 points."""
    methods = (RECOVERIES[config.recover], *_methods(config, whole_tracks))
    return whole_tracks or any(m.needs_posture for m in methods if m)


def _sampler(recovery: Method) -> Method | None:
    """What gives hypotheses beside a recovery that has none of its own."""
    if recovery.samples:
        return None
    return replace(HYPOTHESES, build=recovery.hypotheses) if recovery.hypotheses else HYPOTHESES


def _source(recovery: Method, parts: Parts) -> PostureSource:
    """Of the posture networks, or a recovery's own on top of these."""
    source = _posture_source(parts.config)
    if not recovery.source:
        return source
    own: PostureSource = load(recovery.source)(parts, source)
    return own


def _posture_source(config: HmrConfig) -> PostureSource:
    if config.posture.mesh2d == "keypoints":
        return KeypointPosture(_warm(choose_engine(config).engine))
    return ImagePosture(_warm(_image_engine(config)), _warm(choose_engine(config, "decoder").engine))


def _limbs(config: HmrConfig, whole_tracks: bool) -> LimbReader | None:
    """Where somebody reads what it says, and the first landmark network is the one that it belongs to."""
    read = _reads_posture(config, whole_tracks) and config.tracker.landmark_network != "heavy"
    if not (config.tracker.limbs and read):
        return None
    try:
        return LimbReader(_warm(choose_engine(config, "limbs").engine))
    except AssetError as error:  # engines of a version before it know nothing of it
        _log.warning("the limb network is left out: %s", error)
        return None


def _image_engine(config: HmrConfig) -> Engine:
    """Other weights than the shipped ones have no export, and run in torch."""
    if not config.posture.image_weights:
        return choose_engine(config, "image").engine
    if config.engine not in ("auto", "torch"):
        raise ConfigError(
            f"posture.image_weights run with engine 'auto' or 'torch', not '{config.engine}'; change one of them"
        )
    request = engine_request(config, "image", {"image": Path(config.posture.image_weights)})
    return select("torch", request).engine


def _warm(engine: Engine) -> Engine:
    """The same engine, which has now paid for what its first run costs more."""
    engine(make_inputs(engine.signature, 1))
    return engine


def choose_engine(config: HmrConfig, network: str = "posture") -> EngineSelection:
    """What runs a network of the registry, and why."""
    return select(config.engine, engine_request(config, network))


def engine_request(
    config: HmrConfig, network: str, weights: dict[str, Path] | None = None, half: bool = False
) -> EngineRequest:
    """Exported files may lie in the package or in the cache; `weights` = files other than the shipped ones; `half`: the
    file with products in float16."""
    entry = NETWORKS[network]
    setting = next((int(s.default) for s in settings(config) if s.name == entry.setting), entry.default)
    return EngineRequest(
        network=network, settings={entry.baked: setting}, file=entry.file(network, setting, half),
        half_file=entry.file(network, setting, half=True), command=entry.command(network, setting, half),
        folders=(asset(""), model_folder()), weights=asset(""), threads=config.threads,
        graph=lambda: load(entry.graph)(setting, weights or {}), make_inputs=make_inputs,
    )  # fmt: skip


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
    """What `--quality` does: a pipeline that observes, and the refinement of all that it observed."""

    pipeline: Pipeline
    refine: Callable[[list[Observation]], list[Human]]


def build_quality(config: HmrConfig) -> WholeTracks:
    """For files: people are found first and refined with the frames before and after them."""
    pipeline = build_pipeline(_in_every_image(offline(config)), whole_tracks=True)
    prior, own = _prior(), load_body(None)
    from hmr_ros.methods.scorehmr.offline import refine_tracks

    def refine(people: list[Observation]) -> list[Human]:
        estimates = refine_tracks(people, prior, own)
        return [pipeline.humans([p], [e])[0] for p, e in zip(people, estimates, strict=True)]

    return WholeTracks(pipeline, refine)


Built = Pipeline | WholeTracks


def build_for_files(config: HmrConfig, *, quality: bool, as_live: bool = False) -> Built:
    """What runs files: `build_quality`, or the pipeline; as often as wanted, see `pipeline_of`."""
    return build_quality(config) if quality else build_pipeline(offline(config, as_live))


def pipeline_of(built: Built) -> Pipeline:
    """The pipeline of either, ready for another source: as if it had just been built."""
    pipeline = built.pipeline if isinstance(built, WholeTracks) else built
    pipeline.restart()
    return pipeline


def build_multiview(config: HmrConfig) -> tuple[Pipeline, Callable[[list[View]], list[View]]]:
    """For several videos of one person: the pipeline that observes each, and the refinement of all together."""
    if config.body:
        raise ConfigError("several views need the open body; leave body as it is")
    pipeline = build_pipeline(_in_every_image(offline(config)), whole_tracks=True)
    prior = _prior()
    from hmr_ros.methods.scorehmr.multiview import refine_views

    how = AUTO_CALIBRATION if config.calibrate == "auto" else config.calibrate
    return pipeline, lambda views: refine_views(views, prior, pipeline.body, calibrate=how)


def with_own_detector(config: HmrConfig) -> HmrConfig:
    """The same configuration; ConfigError where people are to come from a topic, which only the node has."""
    if config.detector.kind == "external":
        raise ConfigError("detector.kind is external: boxes come from a topic, which only the node reads; leave it out")
    return config


def offline(config: HmrConfig, as_live: bool = False) -> HmrConfig:
    """The same configuration for files: latency does not matter, so the first frame is searched completely and every
    proposal is checked at once. Unless `as_live`, landmarks are those of the ensemble of full and heavy (where heavy
    is not installed, of the image and its mirror image), and temporal refinement waits for the frames to come."""
    config = with_own_detector(config)
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


def _in_every_image(config: HmrConfig) -> HmrConfig:
    """The same, where accuracy goes before time: all landmark networks look at every image."""
    return replace(config, tracker=replace(config.tracker, others_every=1))


def _has_heavy() -> bool:
    """Whether the heavy landmark network is installed; files are read without it too."""
    there = find_model(HEAVY) is not None
    if not there:
        _log.warning(
            "%s is not installed: full and its mirror image stand in for the ensemble; run `%s`", HEAVY.name, FETCH
        )
    return there
