"""Settings as ROS parameters: declared with ranges, slips named, changed while the node runs where that can be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, TypeVar

from hmr_ros.config import HmrConfig, Setting, settings, with_values
from hmr_ros.config_groups import ACTIVATE, CONFIGURE, LIVE
from hmr_ros.errors import ConfigError
from hmr_ros.fusion.settings import FusionConfig

T = TypeVar("T")
_NEAR = 0.8  # likeness from which an unknown name is taken for a slip
_WHEN = {
    LIVE: "changes at once",
    ACTIVATE: "changes when the node is activated",
    CONFIGURE: "changes when the node is configured",
}
_CURE = {ACTIVATE: "deactivate the node first", CONFIGURE: "deactivate and clean up the node first"}


def declare_settings(node: Any) -> HmrConfig:
    """`declared` of the node `hmr`."""
    return declared(node, HmrConfig())


def declared(node: Any, defaults: T) -> T:
    """Declare every setting of `defaults` as a parameter of `node` and return the configuration that results.

    ConfigError names the first parameter whose value is not allowed, and what is, or a name that is a slip.
    """
    from rcl_interfaces.msg import ParameterDescriptor

    values = {}
    table = list(settings(defaults))
    for s in table:
        # first with any type: YAML has `2` where 2.0 is meant, and what else does not fit is refused in our words
        given = node.declare_parameter(s.name, s.default, ParameterDescriptor(dynamic_typing=True)).value
        values[s.name] = s.converted(given)
        node.undeclare_parameter(s.name)
        node.declare_parameter(s.name, values[s.name], _descriptor(s), ignore_override=True)
    refuse_unknown(node, table)
    if hasattr(node, "add_pre_set_parameters_callback"):  # from Iron on
        node.add_pre_set_parameters_callback(lambda given: _prepared(node, given, table))
    return with_values(defaults, values)


def refuse_unknown(node: Any, table: list[Setting]) -> None:
    """ConfigError for a given parameter that is a slip: in one of the groups of `table`, or like one of its names.

    Others may be another node's, in a file for several: one warning names them.
    """
    known = [s.name for s in table]
    groups = {name.split(".")[0] for name in known if "." in name}
    strangers = []
    # rclpy has no public door to what was given and never declared
    for name in getattr(node, "_parameter_overrides", {}):
        if node.has_parameter(name) or name.startswith("qos_overrides."):
            continue
        near = difflib.get_close_matches(name, known, 1, _NEAR) or [n for n in known if n.split(".")[-1] == name]
        if near or name.split(".")[0] in groups:
            near = near or difflib.get_close_matches(name, known, 1, 0)
            raise ConfigError(f"unknown parameter '{name}'; did you mean '{near[0]}'?")
        strangers.append(name)
    if strangers:
        node.get_logger().warning(f"parameters that this node does not have: {', '.join(sorted(strangers))}")


def changed(config: T, given: Iterable[Any], state: str) -> T:
    """`config` with the parameters (rclpy) of a request; ConfigError says why one cannot be set in this lifecycle
    `state`."""
    known = {s.name: s for s in settings(config)}
    values = {p.name: p.value for p in given if p.name in known}
    new = with_values(config, values)
    for s in settings(new):
        if s.name not in values or s.default == known[s.name].default:
            continue
        allowed = {LIVE: True, ACTIVATE: state != "active", CONFIGURE: state not in ("active", "inactive")}[s.when]
        if not allowed:
            raise ConfigError(f"'{s.name}' {_WHEN[s.when]}, which is {state}; {_CURE[s.when]}")
    return new


def described(setting: Setting) -> str:
    """What a setting means and which values it takes, as config/live.yaml and `ros2 param describe` show it."""
    if setting.choices:
        return f"{setting.doc} ({' | '.join(setting.choices)})"
    return setting.doc if setting.at_least is None else f"{setting.doc} ({setting.at_least:g} to {setting.at_most:g})"


def _descriptor(setting: Setting) -> Any:
    """What tools show of a parameter, with its range and its choices."""
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    choices = f"one of {', '.join(setting.choices)}; " if setting.choices else ""
    descriptor = ParameterDescriptor(
        description=described(setting), additional_constraints=f"{choices}{_WHEN[setting.when]}"
    )
    low, high = setting.at_least, setting.at_most
    if low is not None and high is not None:
        if isinstance(setting.default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
        else:
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    return descriptor


def _prepared(node: Any, given: list[Any], table: list[Setting]) -> list[Any]:
    """The parameters of a request, integers made numbers where a number is wanted.

    Refused where one is unknown, for rclpy's own refusal names none.
    """
    from rclpy.exceptions import ParameterNotDeclaredException
    from rclpy.parameter import Parameter

    for stranger in (p.name for p in given if not node.has_parameter(p.name)):
        near = difflib.get_close_matches(stranger, [s.name for s in table], 1, 0)
        raise ParameterNotDeclaredException(f"'{stranger}'; did you mean '{near[0]}'?")
    floats = {s.name for s in table if isinstance(s.default, float)}
    return [
        Parameter(p.name, Parameter.Type.DOUBLE, float(p.value))
        if p.name in floats and p.type_ == Parameter.Type.INTEGER
        else p
        for p in given
    ]


_PAGE = """\
# Parameters

Of the node `hmr`; written by `python -m hmr_ros.ros.parameters > docs/parameters.md`. A file is
[config/live.yaml](../config/live.yaml). `live`: `ros2 param set` works at once. `activate`: while the node
is not active. `configure`: while it is unconfigured. Every other request is refused with the reason.
"""
_FUSION_PAGE = """\
## The node `fusion`

It makes one set of people of those of several cameras ([usage.md](usage.md#many-cameras)).
"""


def parameter_page() -> str:
    """docs/parameters.md: every parameter with its default, what it means and when it changes."""
    return "\n".join([_PAGE, *_table(settings()), "", _FUSION_PAGE, *_table(settings(FusionConfig())), ""])


def _table(rows: Iterable[Setting]) -> list[str]:
    lines = ["| parameter | default | meaning | changes |", "|---|---|---|---|"]
    for s in rows:
        default = str(s.default).lower() if isinstance(s.default, bool) else s.default
        meaning = described(s).replace("|", "\\|")
        lines.append(f"| `{s.name}` | {f'`{default}`' if default != '' else 'empty'} | {meaning} | {s.when} |")
    return lines


if __name__ == "__main__":
    print(parameter_page(), end="")
