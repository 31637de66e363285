"""What the live node costs in each of its states: share of a core and resident memory of its process.

`python benchmarks/idle.py`: starts `hmr live` without a camera, and takes it from active to unconfigured.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from std_srvs.srv import SetBool

SETTLE_S, MEASURE_S = 3.0, 20.0


def main() -> None:
    """One row a state."""
    node = subprocess.Popen([sys.executable, "-m", "hmr_ros", "live"], stderr=subprocess.DEVNULL)
    rclpy.init()
    client = rclpy.create_node("client")
    cleanup = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CLEANUP))
    try:
        for state, kind, name, request in (
            ("active", SetBool, "set_enabled", SetBool.Request(data=True)),
            ("inactive", SetBool, "set_enabled", SetBool.Request(data=False)),
            ("unconfigured", ChangeState, "change_state", cleanup),
        ):
            call(client, kind, f"/hmr/{name}", request)
            time.sleep(SETTLE_S)
            start, used = time.monotonic(), cpu_s(node.pid)
            time.sleep(MEASURE_S)
            share = (cpu_s(node.pid) - used) / (time.monotonic() - start)
            print(f"{state:<13} {100 * share:5.2f} % of a core {resident_mb(node.pid):5.0f} MB")
    finally:
        node.terminate()
        node.wait()


def call(client: Any, kind: Any, name: str, request: Any) -> None:
    """Wait for the service and its answer."""
    service = client.create_client(kind, name)
    service.wait_for_service()
    rclpy.spin_until_future_complete(client, service.call_async(request))


def cpu_s(pid: int) -> float:
    """Processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
