"""The live node as a process of its own, and what can be seen of it from outside, for soak, overload and faults."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from hmr_ros.msg import HumanArray
from rclpy.executors import SingleThreadedExecutor

from hmr_ros.io.encodings import stamp_ns

_LOGGED = re.compile(r"\[(INFO|WARN|ERROR|FATAL)\] \[[0-9.]+\] \[[^]]*\]: (.*)")


class LiveNode:
    """`hmr live` with its log."""

    def __init__(self, *arguments: str, command: tuple[str, ...] = ("-m", "hmr_ros", "live")) -> None:
        self.command = [sys.executable, *command, *arguments]
        self.lines: list[str] = []  # of the log, since the start or the last `said`
        self.start()

    def start(self) -> None:
        """Start the process, again where it has ended."""
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True).start()

    def _read(self, stream: Any) -> None:
        for line in stream:
            self.lines.append(line.rstrip())

    def said(self) -> list[str]:
        """Warnings and errors since this was asked last, and whatever is no log line, like a traceback."""
        lines, self.lines = self.lines, []
        found = []
        for line in lines:
            match = _LOGGED.match(line)
            if match is None and not line.startswith("INFO: Created TensorFlow"):
                found.append(line)
            elif match is not None and match[1] != "INFO":
                found.append(match[2])
        return found

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def memory_mb(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def heap_mb(self) -> float:
        """Memory that belongs to the process alone: no files, no segments shared with a camera."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"RssAnon:\s+(\d+)", status)[0]) / 1024

    def threads(self) -> int:
        """Threads of the process."""
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def files(self) -> int:
        """Open file descriptors."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def stop(self, with_signal: int = signal.SIGINT) -> int:
        """End the process; its return code."""
        if self.alive:
            self.process.send_signal(with_signal)
        return self.process.wait(timeout=20)


def cpu_s(pid: int) -> float:
    """Processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Seen:
    """An answer of the node as it arrived."""

    at_s: float  # time.time()
    stamp_ns: int
    people: int  # those who are tracked, not those who are searched for
    frame_id: str

    @property
    def age_ms(self) -> float:
        """From the image's stamp to the answer's arrival."""
        return 1e3 * self.at_s - 1e-6 * self.stamp_ns


@dataclass(frozen=True)
class Status:
    """A status of the node on /diagnostics as it arrived."""

    at_s: float
    level: int
    message: str
    values: dict[str, str]


@dataclass
class Observer:
    """A client of the node in this process."""

    name: str = "/hmr"
    answers: list[Seen] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.node = rclpy.create_node("observer")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self._clients: dict[str, Any] = {}
        self.node.create_subscription(HumanArray, f"{self.name}/humans", self._on_humans, 50)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 50)

    def _on_humans(self, message: HumanArray) -> None:
        tracked = sum(h.tracking_state != h.STATE_SEARCHING for h in message.humans)
        header = message.header
        self.answers.append(Seen(time.time(), stamp_ns(header.stamp), tracked, header.frame_id))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(self.name):
                values = {v.key: v.value for v in status.values}
                self.statuses.append(Status(time.time(), status.level[0], status.message, values))

    def spin(self, seconds: float) -> None:
        """Take in whatever comes."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def wait(self, condition: Any, timeout_s: float = 60.0) -> bool:
        """Take in whatever comes until the condition holds; False after the time-out."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.executor.spin_once(timeout_sec=0.02)
        return True

    def call(self, kind: Any, service: str, request: Any, timeout_s: float = 10.0) -> tuple[Any, float]:
        """Answer of a service of the node, and the seconds that it took; None after the time-out."""
        if service not in self._clients:
            self._clients[service] = self.node.create_client(kind, f"{self.name}/{service}")
            self.wait(self._clients[service].service_is_ready)
            self.spin(0.3)  # the way back is matched a little later
        start = time.monotonic()
        future = self._clients[service].call_async(request)
        self.wait(future.done, timeout_s)
        return (future.result() if future.done() else None), time.monotonic() - start

    def is_ready(self) -> bool:
        """Whether the node has sent its first status as an active node."""
        return any(not s.message.startswith(("unconfigured", "inactive")) for s in self.statuses)


@contextlib.contextmanager
def played(
    frames: Path, fps: float, seconds: float, log: Path
) -> Iterator[tuple[LiveNode, Observer, Callable[[], Any]]]:
    """A live node with its defaults, an observer of it, and what starts `cheap_camera.py` with these frames; all end
    with the context, whatever happens in it."""
    observer = Observer()
    node = LiveNode("image_topic:=/camera/image_raw")
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, str(Path(__file__).with_name("cheap_camera.py")), "--frames", str(frames)]
        started.append(
            subprocess.Popen([*command, "--fps", str(fps), "--seconds", str(seconds), "--log", str(log)])
        )  # fmt: skip
        return started[-1]

    try:
        if not observer.wait(observer.is_ready):
            sys.exit("the node did not become ready: " + "; ".join(node.said()))
        yield node, observer, start
    finally:
        for camera in started:
            if camera.poll() is None:
                camera.terminate()
                camera.wait()
        node.stop()
        rclpy.try_shutdown()


def keeps(result: dict[str, Any], bars: dict[str, float]) -> bool:
    """Print a line a bar, the most that a figure may be; whether every one is kept."""
    kept = {name: result[name] <= bar for name, bar in bars.items()}
    for name, bar in bars.items():
        print(f"{'ok  ' if kept[name] else 'MISS'} {name} {result[name]:.3f} (at most {bar})")
    return all(kept.values())


def start_ros() -> None:
    """ROS of this process, in a domain of its own unless one is chosen."""
    from hmr_ros.ros.environment import prepare_environment

    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    prepare_environment()
    rclpy.init()
