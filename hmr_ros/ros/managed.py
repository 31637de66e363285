"""A managed node: its states, one line where a transition fails, and what every node of ours says and is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from std_srvs.srv import SetBool, Trigger

from hmr_ros.errors import HmrError
from hmr_ros.ros.diagnostics import diagnosis
from hmr_ros.ros.notices import Notices

_DONE, _FAILED = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class ManagedNode(LifecycleNode):  # type: ignore[misc]  # rclpy is untyped
    """What its four steps do is the subclass's: `_configure`, `_activate`, `_deactivate` and `_cleanup`, of which the
    last two undo whatever the first two have begun; likewise `_on_reset`, `_on_set_parameters` and `_diagnosis`."""

    def __init__(self, name: str) -> None:
        """Unconfigured."""
        super().__init__(name)
        self.failure: HmrError | None = None  # why the last transition failed
        self.autostarts = True
        self._notices = Notices(lambda text: self.get_logger().warning(text))
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)  # goes on where /clock stands still
        self.create_service(SetBool, "~/set_enabled", self._on_set_enabled)

    def _begin(self, autostarts: bool, diagnostics_period_s: float) -> None:
        """Answer and report from now on: to be called when the parameters are declared."""
        self.autostarts = autostarts
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(Trigger, "~/reset", self._on_reset)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._diagnostics_timer = self.create_timer(diagnostics_period_s, self._publish_diagnostics, clock=self._steady)

    def _report_every(self, seconds: float) -> None:
        self._diagnostics_timer.timer_period_ns = round(1e9 * seconds)

    def _publish_diagnostics(self) -> None:
        message = diagnosis(f"{self.get_fully_qualified_name()}: people", *self._diagnosis())
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    @property
    def state(self) -> str:
        """unconfigured, inactive, active or finalized."""
        return str(self._state_machine.current_state[1])

    def autostart(self) -> bool:
        """Configure and activate, if the parameter says so; False where that failed, which the log says."""
        if self.autostarts:
            self._enable()
        return self.failure is None

    def stop(self) -> None:
        """Whatever the state: stop and leave all topics."""
        self._deactivate()
        self._cleanup()

    def on_configure(self, _: Any) -> TransitionCallbackReturn:
        """Make everything that costs time or memory."""
        return self._tried("configure", self._configure, self._cleanup)

    def on_activate(self, _: Any) -> TransitionCallbackReturn:
        """Subscribe and answer."""
        return self._tried("activate", self._activate, self._deactivate)

    def on_deactivate(self, _: Any) -> TransitionCallbackReturn:
        """Stop to answer, leave all inputs."""
        self._deactivate()
        self.get_logger().info("inactive")
        return _DONE

    def on_cleanup(self, _: Any) -> TransitionCallbackReturn:
        """Free everything that configure made."""
        self._cleanup()
        self.get_logger().info("cleaned up")
        return _DONE

    def on_shutdown(self, _: Any) -> TransitionCallbackReturn:
        """Stop and free everything."""
        self.stop()
        return _DONE

    def on_error(self, _: Any) -> TransitionCallbackReturn:
        """After an exception that nobody expected: unconfigured again."""
        self.stop()
        return _DONE

    def _tried(self, name: str, work: Callable[[], None], undo: Callable[[], None]) -> TransitionCallbackReturn:
        """Run a transition; where it fails, one line says why and the node is in the state before."""
        try:
            work()
        except Exception as error:
            undo()
            said = str(error) if isinstance(error, HmrError) else f"{type(error).__name__}: {error}"
            self.failure = error if isinstance(error, HmrError) else HmrError(f"cannot {name}: {said}")
            self.get_logger().error(f"cannot {name}: {' '.join(said.split())}")
            return _FAILED
        self.failure = None
        return _DONE

    def _configure(self) -> None:
        raise NotImplementedError

    def _activate(self) -> None:
        raise NotImplementedError

    def _deactivate(self) -> None:
        raise NotImplementedError

    def _cleanup(self) -> None:
        raise NotImplementedError

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        raise NotImplementedError

    def _on_set_parameters(self, given: list[Any]) -> SetParametersResult:
        raise NotImplementedError

    def _diagnosis(self) -> tuple[tuple[bytes, str], dict[str, str]]:
        """Verdict and values, as `diagnosis` takes them."""
        raise NotImplementedError

    def _enable(self) -> None:
        if self.state == "unconfigured":
            self.trigger_configure()
        if self.state == "inactive":
            self.trigger_activate()

    def _on_set_enabled(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        wanted = "active" if request.data else "inactive"
        if request.data:
            self._enable()
        elif self.state == "active":
            self.trigger_deactivate()
        response.success = self.state == wanted or (not request.data and self.state == "unconfigured")
        response.message = self.state if response.success else f"{self.state}: {self.failure}"
        return response
