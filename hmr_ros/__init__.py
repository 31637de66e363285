"""Real-time human mesh recovery for ROS 2."""

from pkgutil import extend_path

# The generated messages (hmr_ros.msg) may be installed in another folder than these sources.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
