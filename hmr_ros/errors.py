"""Errors that a user can act on: every message says in one line what is wrong and what to do."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class HmrError(Exception):
    """Base of all errors that end a command with one line instead of a traceback."""

    def __init__(self, message: object = "") -> None:
        """What a message quotes may come from anybody's file: control characters become spaces."""
        super().__init__(_CONTROL.sub(" ", str(message)))


class ConfigError(HmrError):
    """A setting, option or parameter has a value that cannot be used."""


class InputError(HmrError):
    """A source (video, image, bag, camera, calibration, result file) cannot be read."""


class AssetError(HmrError):
    """A model file is missing, damaged or cannot be fetched."""


class BodyModelError(HmrError):
    """A body model file is not an SMPL-format body or is not safe to load."""


class RosUnavailableError(HmrError):
    """ROS 2 or the generated messages are missing in this Python environment."""
