"""Real-time human mesh recovery for ROS 2.

`HumanMeshRecovery` is the library's front door; it is loaded when it is asked for.
"""

import os
from pkgutil import extend_path
from typing import TYPE_CHECKING, Any

# Read when NumPy is loaded, which no module may do before this one. Its matrices here are small; idle linear-algebra
# threads would spin on the cores that the networks need.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if TYPE_CHECKING:
    from hmr_ros.api import HumanMeshRecovery as HumanMeshRecovery
    from hmr_ros.api import Person as Person

# The generated messages (hmr_ros.msg) may be installed in another folder than these sources.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in ("HumanMeshRecovery", "Person"):
        from hmr_ros import api

        return getattr(api, name)
    raise AttributeError(f"module 'hmr_ros' has no attribute '{name}'")
