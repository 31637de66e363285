"""Start the live node: `ros2 launch hmr_ros live.launch.py image_topic:=/camera/image_raw rviz:=true`."""

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from hmr_ros.ros.environment import PROFILE_VARIABLES
from hmr_ros.ros.parameters import START_ARGUMENTS
from launch import LaunchDescription


def generate_launch_description():
    share = get_package_share_directory("hmr_ros")
    defaults = {"config": f"{share}/config/live.yaml"}
    arguments = [
        DeclareLaunchArgument(a.name, default_value=defaults.get(a.name, a.default), description=a.doc)
        for a in START_ARGUMENTS
    ]
    # pictures need room in shared memory; a profile that the user has set stays
    profile = [
        SetEnvironmentVariable(name, EnvironmentVariable(name, default_value=f"{share}/config/fastdds_profile.xml"))
        for name in PROFILE_VARIABLES
    ]
    settings = {a.setting: LaunchConfiguration(a.name) for a in START_ARGUMENTS if a.setting}
    settings["use_sim_time"] = ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)
    node = Node(
        package="hmr_ros", executable="live", name="hmr", namespace=LaunchConfiguration("namespace"),
        parameters=[LaunchConfiguration("config"), settings], output="screen",
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
    )  # fmt: skip
    rviz = Node(
        package="rviz2", executable="rviz2", condition=IfCondition(LaunchConfiguration("rviz")),
        arguments=["-d", PathJoinSubstitution([share, "config", "hmr.rviz"])],
    )  # fmt: skip
    return LaunchDescription([*arguments, *profile, node, rviz])
