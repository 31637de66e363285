"""What /diagnostics says of a period of the live node, and what to do about it."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from hmr_ros.config import InputConfig
from hmr_ros.ros.statistics import Period

_FAILED_ERROR = 0.5  # of the images that were looked at: an error from here on, a warning below
_DROPPED_WARN = 0.1  # of the images that came
_DROPPED_ERROR = 0.9
_NO_DEPTH_WARN = 0.1  # of the answers


def diagnosis(name: str, verdict: tuple[bytes, str], values: dict[str, str]) -> DiagnosticArray:
    """The status `name` with a level and a message, without a stamp."""
    pairs = [KeyValue(key=k, value=v) for k, v in values.items()]
    level, text = verdict
    return DiagnosticArray(
        status=[DiagnosticStatus(name=name, hardware_id="camera", level=level, message=text, values=pairs)]
    )


def rest(state: str, failure: str) -> tuple[bytes, str]:
    """Level and message of a node that is not active; `failure`: why its last transition failed."""
    if failure:
        return DiagnosticStatus.ERROR, f"{state}: {failure}"
    cure = "call ~/set_enabled, or the lifecycle transition activate"
    return DiagnosticStatus.OK, f"{state}, no image is looked at; {cure}"


def judge(period: Period, config: InputConfig, topic: str, reason: str = "") -> tuple[bytes, str]:
    """Level of DiagnosticStatus and message: STALE without images, else the worst of what is wrong, worst first.

    `topic` is where images are expected, `reason` why none comes, where that is known.
    """
    if not period.received:
        return DiagnosticStatus.STALE, _silence(period, topic, reason)
    found = [*_failures(period), *_drops(period), *_missing_depth(period, config)]
    if period.camera_problem:
        found.append((DiagnosticStatus.WARN, f"distances are a guess: {period.camera_problem}"))
    found += [(DiagnosticStatus.WARN, note) for note in period.notes]
    if not found:
        return DiagnosticStatus.OK, "running"
    found.sort(key=lambda f: f[0], reverse=True)
    return found[0][0], "; ".join(text for _, text in found)


def _silence(period: Period, topic: str, reason: str) -> str:
    since = "yet" if period.silent_s is None else f"for {period.silent_s:.0f} s"
    return f"no image on {topic} {since}: {reason or 'the next seconds will tell why'}"


def _failures(period: Period) -> list[tuple[bytes, str]]:
    if not period.failed:
        return []
    tried = period.failed + period.published
    level = DiagnosticStatus.ERROR if period.failed >= _FAILED_ERROR * tried else DiagnosticStatus.WARN
    return [(level, f"{period.failed} of {tried} images could not be processed: {period.failure}")]


def _drops(period: Period) -> list[tuple[bytes, str]]:
    share = period.dropped / period.received
    if share < _DROPPED_WARN:
        return []
    level = DiagnosticStatus.ERROR if share >= _DROPPED_ERROR else DiagnosticStatus.WARN
    cure = "lower its rate or resolution, raise `threads`, or set refine: keypoints"
    return [(level, f"{period.dropped} of {period.received} images dropped, the camera is too fast: {cure}")]


def _missing_depth(period: Period, config: InputConfig) -> list[tuple[bytes, str]]:
    answered = max(period.published, period.without_depth)
    if not period.without_depth or period.without_depth < _NO_DEPTH_WARN * answered:
        return []
    cure = "check that the depth camera runs, is synchronised, and registers depth to the colour image"
    found = f"{period.without_depth} of {answered} images had no depth of {config.depth_topic}: {cure}"
    return [(DiagnosticStatus.WARN, found)]
