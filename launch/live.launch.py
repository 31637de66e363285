"""Start the live node: `ros2 launch hmr_ros live.launch.py image_topic:=/camera/image_raw rviz:=true`."""

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from hmr_ros.ros.environment import profile_environment
from hmr_ros.ros.parameters import START_ARGUMENTS, node_parameters, parameter_file
from launch import LaunchDescription

SHARE = get_package_share_directory("hmr_ros")


def generate_launch_description():
    defaults = {"config": f"{SHARE}/config/live.yaml"}
    arguments = [
        DeclareLaunchArgument(a.name, default_value=defaults.get(a.name, a.default), description=a.doc)
        for a in START_ARGUMENTS
    ]
    rviz = Node(
        package="rviz2", executable="rviz2", condition=IfCondition(LaunchConfiguration("rviz")),
        arguments=["-d", f"{SHARE}/config/hmr.rviz"],
    )  # fmt: skip
    return LaunchDescription([*arguments, OpaqueFunction(function=_live), rviz])


def _live(context):
    """The node; what was not given as an argument is left to the parameter file."""
    given = {a.name: LaunchConfiguration(a.name).perform(context) for a in START_ARGUMENTS}
    file = parameter_file(given)
    settings = {n: ParameterValue(v, value_type=type(v)) for n, v in node_parameters(given).items()}
    node = Node(
        package="hmr_ros", executable="live", name="hmr", namespace=given["namespace"], output="screen",
        parameters=[p for p in (file, settings) if p],
        ros_arguments=["--log-level", given["log_level"]] if given["log_level"] else [],
        additional_env=profile_environment(context.environment, f"{SHARE}/config/fastdds_profile.xml"),
    )  # fmt: skip
    return [node]
