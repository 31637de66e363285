"""The live node and a client of it in one process, for tests that look at it from outside."""

import functools
import time

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from hmr_ros.msg import HumanArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool

from hmr_ros.factory import build_pipeline
from hmr_ros.io.encodings import image_bytes
from hmr_ros.ros.environment import prepare_environment
from hmr_ros.ros.node import HmrNode


class Peer:
    """A node and a client of its topics and services."""

    timeout_s = 60.0

    def __init__(self, node):
        self.node, self.name = node, node.get_name()
        # of its own, as in another process: one context cannot have two types on a topic
        self.context = rclpy.Context()
        rclpy.init(args=["--ros-args"], context=self.context)
        self.client = rclpy.create_node("client", context=self.context)
        self.executors = SingleThreadedExecutor(), SingleThreadedExecutor(context=self.context)
        for executor, one in zip(self.executors, (self.node, self.client), strict=True):
            executor.add_node(one)
        self.answers, self.statuses = [], []
        self.client.create_subscription(HumanArray, f"/{self.name}/humans", self.answers.append, 10)
        self.client.create_subscription(DiagnosticArray, "/diagnostics", lambda m: self.statuses.extend(m.status), 10)

    def spin_until(self, condition, timeout=None):
        deadline = time.monotonic() + (timeout or self.timeout_s)
        while not condition():
            assert time.monotonic() < deadline, f"timed out; the last status was {self.statuses[-1:]}"
            self.spin_once()

    def spin_once(self):
        for executor in self.executors:
            executor.spin_once(timeout_sec=0.01)

    def call(self, kind, name, request):
        client = self.client.create_client(kind, f"/{self.name}/{name}")
        self.spin_until(client.service_is_ready)
        for _ in range(10):  # the way back is matched a little later; an answer before that would be lost
            self.spin_once()
        future = client.call_async(request)
        self.spin_until(future.done)
        return future.result()

    def close(self):
        self.node.stop()
        for executor in self.executors:
            executor.shutdown()
        self.node.destroy_node()
        self.client.destroy_node()
        rclpy.try_shutdown(context=self.context)
        rclpy.try_shutdown()


class Robot(Peer):
    """The live node, and a client of it that shows it images."""

    def __init__(self, *arguments, factory=build_pipeline):
        prepare_environment()
        quick = ["-p", "recover:=kinematic", "-p", "refine:=none", "-p", "threads:=1"]
        rclpy.init(args=["--ros-args", *quick, *arguments])
        self.configs, self.markers = [], []
        super().__init__(HmrNode(lambda config: self.configs.append(config) or factory(config)))

    @functools.cached_property
    def images(self):
        """The client's own camera; there from its first use on."""
        return self.client.create_publisher(Image, "image", 10)

    def change(self, transition):
        return self.call(ChangeState, "change_state", ChangeState.Request(transition=Transition(id=transition))).success

    def state(self):
        return self.call(GetState, "get_state", GetState.Request()).current_state.label

    def enable(self, enabled):
        return self.call(SetBool, "set_enabled", SetBool.Request(data=enabled))

    def set(self, name, **value):
        kinds = {"bool_value": 1, "integer_value": 2, "double_value": 3, "string_value": 4}
        (field,) = value
        parameter = Parameter(name=name, value=ParameterValue(type=kinds[field], **value))
        (result,) = self.call(SetParameters, "set_parameters", SetParameters.Request(parameters=[parameter])).results
        return result

    def show(self, image, condition, stamp=True, frame_id="optical"):
        message = Image(height=image.shape[0], width=image.shape[1], encoding="bgr8", step=3 * image.shape[1])
        message.header.frame_id = frame_id
        message.data = image_bytes(image)

        def attempt():
            if stamp:
                message.header.stamp = self.client.get_clock().now().to_msg()
            self.images.publish(message)
            time.sleep(0.02)
            return condition()

        self.spin_until(attempt)

    def said(self, level, text):
        return lambda: any(s.level == level and text in s.message for s in self.statuses)


def started(robot, *arguments):
    """A robot of the fixture, configured and active."""
    r = robot(*arguments)
    r.node.autostart()
    return r


def anybody(robot):
    """Condition: somebody was answered."""
    return lambda: any(a.humans for a in robot.answers)
