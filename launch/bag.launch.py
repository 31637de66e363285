"""Run a rosbag through the pipeline: `ros2 launch hmr_ros bag.launch.py input:=DIR output:=DIR`.

Every image is processed in order; nothing is played in real time and nothing is dropped.
"""

from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription


def generate_launch_description():
    config = f"{get_package_share_directory('hmr_ros')}/config/live.yaml"
    return LaunchDescription(
        [
            DeclareLaunchArgument("input", description="rosbag2 folder, .mcap or ROS 1 .bag"),
            DeclareLaunchArgument("output", description="folder of the new bag"),
            DeclareLaunchArgument("image_topic", default_value="", description="image topic; empty: the only one"),
            DeclareLaunchArgument("depth_topic", default_value="", description="registered depth; empty: none"),
            DeclareLaunchArgument("config", default_value=config, description="parameter file"),
            OpaqueFunction(function=_process),
        ]
    )


def _process(context):
    def value(name):
        return LaunchConfiguration(name).perform(context)

    command = [f"{get_package_prefix('hmr_ros')}/lib/hmr_ros/bag", value("input"), value("output")]
    command += ["--config", value("config")]
    if value("image_topic"):
        command += ["--topic", value("image_topic")]
    if value("depth_topic"):
        command += ["--depth-topic", value("depth_topic")]
    return [ExecuteProcess(cmd=command, output="screen")]
