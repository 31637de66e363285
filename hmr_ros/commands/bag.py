"""`hmr bag`: a rosbag through the pipeline into a new bag with the result topics."""

from __future__ import annotations

from pathlib import Path

from hmr_ros.config import HmrConfig
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.io.bags import process_bag


def bag(source: Path, target: Path, config: HmrConfig, *, topic: str | None, max_frames: int | None) -> int:
    """Process every image of `source`; nothing is dropped, stamps are kept."""
    pipeline = build_pipeline(offline(config))
    counts = process_bag(source, target, pipeline, topic=topic, max_frames=max_frames)
    print(f"{counts.frames} frames, {counts.humans} people found -> {target}")
    return 130 if counts.interrupted else 0
