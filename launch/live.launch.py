"""Start the live node: `ros2 launch hmr_ros live.launch.py image_topic:=/camera/image_raw rviz:=true`."""

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from hmr_ros.ros.rviz import rviz_file
from hmr_ros.ros.start_arguments import START_ARGUMENTS, launched_node, slips
from launch import LaunchDescription

SHARE = get_package_share_directory("hmr_ros")


def generate_launch_description():
    defaults = {"config": f"{SHARE}/config/live.yaml"}
    arguments = [
        DeclareLaunchArgument(a.name, default_value=defaults.get(a.name, a.default), description=a.doc)
        for a in START_ARGUMENTS
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=_start)])


def _start(context):
    for slip in slips(context.launch_configurations):
        get_logger("hmr_ros").warning(slip)
    given = {a.name: LaunchConfiguration(a.name).perform(context) for a in START_ARGUMENTS}
    arguments = launched_node(given, context.environment, f"{SHARE}/config/fastdds_profile.xml")
    node = Node(package="hmr_ros", executable="live", name="hmr", output="screen", **arguments)
    if not IfCondition(given["rviz"]).evaluate(context):
        return [node]
    rviz = Node(
        package="rviz2", executable="rviz2",
        arguments=["-d", rviz_file(f"{SHARE}/config/hmr.rviz", given)], additional_env=arguments["additional_env"],
    )  # fmt: skip
    return [node, rviz]
