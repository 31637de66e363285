"""A node for each camera of a file: `ros2 launch hmr_ros multi_camera.launch.py cameras:=config/cameras.yaml`."""

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from hmr_ros.ros.cameras import camera_nodes
from hmr_ros.ros.start_arguments import RVIZ_ONLY, START_ARGUMENTS
from hmr_ros.runtime.cores import usable_cores
from launch import LaunchDescription

SHARE = get_package_share_directory("hmr_ros")
COMMON = [a for a in START_ARGUMENTS if not a.name.endswith("_topic") and a.name not in RVIZ_ONLY]


def generate_launch_description():
    defaults = {"config": f"{SHARE}/config/live.yaml"}
    arguments = [
        DeclareLaunchArgument(a.name, default_value=defaults.get(a.name, a.default), description=a.doc) for a in COMMON
    ]
    cameras = DeclareLaunchArgument("cameras", description="file that names the cameras, see config/cameras.yaml")
    return LaunchDescription([cameras, *arguments, OpaqueFunction(function=_start)])


def _start(context):
    common = {a.name: LaunchConfiguration(a.name).perform(context) for a in COMMON}
    file, profile = LaunchConfiguration("cameras").perform(context), f"{SHARE}/config/fastdds_profile.xml"
    nodes = camera_nodes(file, common, usable_cores(), context.environment, profile)
    return [Node(package="hmr_ros", executable="live", name="hmr", output="screen", **n) for n in nodes]
