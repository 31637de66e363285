"""What a setting is, and the groups of settings that belong to no method; `config.py` joins them into the tree."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hmr_ros.errors import ConfigError

T = TypeVar("T")

# when the node takes a changed value: at once, when it is activated, or when it is configured
LIVE, ACTIVATE, CONFIGURE = "live", "activate", "configure"
PERSONS = ("nearest", "largest", "first")  # whom a live stream is about
SKELETONS = ("own", "mean")
GRAVITY = ("auto", "tf", "imu", "parameter", "estimate", "level", "none")
FEET = ("files", "always", "never")
QUATERNION = "quaternion"  # the form of a text that is x,y,z,w
_UNIT = 0.01  # by which the length of a quaternion may differ from one


def option(
    default: T,
    doc: str,
    choices: tuple[str, ...] = (),
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    form: str = "",
    when: str = CONFIGURE,
) -> T:
    """A dataclass field with its description, the names that exist where the value is a name, its range (both ends
    included) where it is a number, its form where it is a text of one (`QUATERNION`), and when the node takes a
    changed value."""
    metadata = {"doc": doc, "choices": choices, "at_least": at_least, "at_most": at_most, "form": form, "when": when}
    value: T = field(default=default, metadata=metadata)
    return value


def quaternion_text(name: str, value: Any) -> str:
    """The setting `name` in its own form, "x,y,z,w" or empty, of such a text or of a list of four numbers; ConfigError
    where that is no unit quaternion."""
    if value == "":
        return ""
    how = "give the camera's orientation as x,y,z,w of a unit quaternion, such as -0.5,0.5,-0.5,0.5 (level)"
    numbers = value.strip("[] ").split(",") if isinstance(value, str) else value
    try:
        quaternion = [float(number) for number in numbers]
    except (TypeError, ValueError):
        raise ConfigError(f"setting '{name}' is {value!r:.60}; {how}") from None
    length = math.hypot(*quaternion) if len(quaternion) == 4 else math.nan
    if not abs(length - 1) < _UNIT:
        said = f"has the length {length:g}" if len(quaternion) == 4 else f"has {len(quaternion)} numbers"
        raise ConfigError(f"setting '{name}' {said}; {how}")
    return ",".join(f"{number:.9g}" for number in quaternion)


@dataclass(frozen=True)
class StreamConfig:
    """Live streams of one person for robots and avatars, 50 times a second."""

    sonic: str = option(
        "",
        "address at which SONIC's controller of humanoid robots finds the person (ZeroMQ, protocol v3), such as"
        " tcp://127.0.0.1:5556; empty: none",
        when=ACTIVATE,
    )
    vmc: str = option(
        "",
        "host:port of a program that shows the person as an avatar (VMC), such as 127.0.0.1:39539; empty: none",
        when=ACTIVATE,
    )
    person: str = option(
        "nearest",
        "whom the streams are about, until that person has been out of sight for stream.hold_s: the nearest to the"
        " camera, the largest in the image, or the first id",
        PERSONS,
        when=ACTIVATE,
    )
    hold_s: float = option(
        1.0,
        "seconds for which the last pose is repeated when the person is out of sight; then nothing is sent",
        at_least=0.1,
        at_most=60,
        when=ACTIVATE,
    )
    blend_s: float = option(
        0.5,
        "seconds in which the last pose that was sent goes over into that of somebody who is seen again",
        at_least=0,
        at_most=10,
        when=ACTIVATE,
    )
    frames: int = option(
        1, "frames in one message of stream.sonic; each beyond the first is 20 ms late", at_least=1, at_most=50,
        when=ACTIVATE,
    )  # fmt: skip
    skeleton: str = option(
        "own",
        "whose bones stream.sonic has: the person's, or those of the body's mean shape, for children and the very tall",
        SKELETONS,
        when=ACTIVATE,
    )


@dataclass(frozen=True)
class CameraConfig:
    """How the camera stands in the world."""

    orientation: str = option(
        "",
        "of the optical frame in a world whose z is up, as a unit quaternion x,y,z,w; goes before pitch_deg and"
        " roll_deg and says where the world's x points, too; empty: unknown",
        form=QUATERNION,
        when=LIVE,
    )
    pitch_deg: float = option(0.0, "degrees that it looks up; negative: down", at_least=-90, at_most=90, when=LIVE)
    roll_deg: float = option(
        0.0, "degrees that it is turned clockwise, seen from behind it", at_least=-180, at_most=180, when=LIVE
    )
    height_m: float = option(
        0.0,
        "metres over the floor; gives people's distance and size; 0: unknown",
        at_least=0,
        at_most=100,
        when=LIVE,
    )


@dataclass(frozen=True)
class WorldConfig:
    """The world whose z is up, and feet that stand in it."""

    gravity: str = option(
        "auto",
        "which way is up; auto: the first of tf, imu (where world.imu_topic names one), parameter (where"
        " camera.orientation is given, or pitch_deg or roll_deg is not 0) and estimate (from people who stand and"
        " walk); none: no world",
        GRAVITY,
        when=ACTIVATE,
    )
    frame: str = option(
        "", "frame on /tf whose z is up; empty: the first of odom, map, base_footprint, base_link there", when=ACTIVATE
    )
    imu_topic: str = option("", "sensor_msgs/Imu of a camera that stands still; empty: none", when=ACTIVATE)
    feet: str = option(
        "files",
        "where feet that stand are kept where they stand: in files, that know what follows; always: live too, where"
        " they slide less and people are placed less exactly; never",
        FEET,
        when=LIVE,
    )
