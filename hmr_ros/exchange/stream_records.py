"""What the two processes of a live stream tell each other."""

from __future__ import annotations

from dataclasses import dataclass

from hmr_ros.body.model import BodyModel
from hmr_ros.config_groups import StreamConfig
from hmr_ros.exchange.motion import BodyPose


@dataclass(frozen=True)
class Opening:
    """The first message."""

    config: StreamConfig
    body: BodyModel


@dataclass(frozen=True)
class Opened:
    """The answer to it."""

    warnings: tuple[str, ...] = ()
    error: str = ""  # why there is no stream


@dataclass(frozen=True)
class Answer:
    """The chosen person in one frame."""

    track_id: int
    pose: BodyPose
    stamp_s: float
    came_s: float  # time.monotonic(), which is the same in all processes
    age_s: float  # of the frame when it came


@dataclass(frozen=True)
class Closing:
    """The last message."""

    drain: bool  # the newest pose first


@dataclass(frozen=True)
class StreamStatistics:
    """The answer to it: what was sent. NaN where too little was sent to say."""

    fresh: int  # poses
    held: int  # poses that were repeated
    spacing_p95_s: float  # by which the time between two of them missed 20 ms
    spacing_max_s: float
    latency_p50_s: float  # from an image's stamp to the first pose that is sent with its answer known
    latency_p95_s: float
    age_p50_s: float  # of the moment that a fresh pose shows when it is sent: a frame more, for it is between two
    age_p95_s: float

    def __str__(self) -> str:
        if not self.fresh:
            return "nobody was seen: nothing was sent"
        return (
            f"{self.fresh} poses sent, {self.held} held; spacing 20 ms +- {1e3 * self.spacing_p95_s:.2f} ms (p95; max"
            f" {1e3 * self.spacing_max_s:.1f}); image to first pose {1e3 * self.latency_p50_s:.0f} ms (p95"
            f" {1e3 * self.latency_p95_s:.0f}), age of poses {1e3 * self.age_p50_s:.0f} ms (p95"
            f" {1e3 * self.age_p95_s:.0f})"
        )
