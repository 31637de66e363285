"""One set of people of several cameras': `ros2 launch hmr_ros fusion.launch.py cameras:=config/cameras.yaml`.

The cameras' own nodes are those of multi_camera.launch.py, from the same file.
"""

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from hmr_ros.ros.start_arguments import FUSION_ARGUMENTS, launched_node
from launch import LaunchDescription

SHARE = get_package_share_directory("hmr_ros")


def generate_launch_description():
    arguments = [DeclareLaunchArgument(a.name, default_value=a.default, description=a.doc) for a in FUSION_ARGUMENTS]
    return LaunchDescription([*arguments, OpaqueFunction(function=_start)])


def _start(context):
    given = {a.name: LaunchConfiguration(a.name).perform(context) for a in FUSION_ARGUMENTS}
    profile = f"{SHARE}/config/fastdds_profile.xml"
    arguments = launched_node(given, context.environment, profile, FUSION_ARGUMENTS)
    return [Node(package="hmr_ros", executable="fusion", name="fusion", output="screen", **arguments)]
