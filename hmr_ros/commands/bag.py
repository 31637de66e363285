"""`hmr bag`: a rosbag through the pipeline into a new bag with the result topics."""

from __future__ import annotations

from pathlib import Path

from hmr_ros.config import HmrConfig
from hmr_ros.factory import build_pipeline, build_quality, offline
from hmr_ros.io.bags import process_bag


def bag(
    source: Path, target: Path, config: HmrConfig, *, topic: str | None, max_frames: int | None, quality: bool = False
) -> int:
    """Process every image of `source`; nothing is dropped, stamps are kept."""
    whole = build_quality(config) if quality else None
    pipeline = whole.pipeline if whole else build_pipeline(offline(config))
    refine = whole.refine if whole else None
    counts = process_bag(source, target, pipeline, topic=topic, max_frames=max_frames, refine=refine)
    print(f"{counts.frames} frames, {counts.humans} people found -> {target}")
    return 130 if counts.interrupted else 0
