"""Signals end a node at a moment of its own choice."""

import os
import signal
import threading
import time

import pytest
import rclpy
from rclpy.executors import ExternalShutdownException

from hmr_ros.ros.ending import Ending

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture
def node():
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    node = rclpy.create_node("ending")
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


@SIGNALS
def test_a_callback_is_finished_before_the_end(node, number):
    finished = []

    def callback():
        os.kill(os.getpid(), number)
        time.sleep(0.01)
        finished.append(True)

    node.create_timer(0.02, callback)
    with Ending() as ending:
        ending.spin(node)
    assert finished == [True] and ending.asked


@SIGNALS
def test_a_node_without_work_ends(node, number):
    threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
    with Ending() as ending:
        ending.spin(node)
    assert ending.asked


@SIGNALS
def test_before_spinning_a_signal_interrupts(number):
    reached = []
    with Ending() as ending:
        os.kill(os.getpid(), number)
        time.sleep(5)
        reached.append(True)
    assert ending.asked and not reached


def test_what_an_interruption_comes_out_as_is_an_end_and_is_said(capsys):
    with Ending():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except KeyboardInterrupt as error:
            raise RuntimeError("Unable to convert call argument '0'") from error
    assert "ended by a signal (RuntimeError: Unable to convert" in capsys.readouterr().err


def test_a_fault_in_a_callback_after_a_signal_goes_on(node):
    def callback():
        os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError("out of paper")

    node.create_timer(0.02, callback)
    with pytest.raises(ValueError, match="out of paper"), Ending() as ending:
        ending.spin(node)


def test_cleaning_up_is_finished():
    done = []
    with Ending() as ending:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        finally:
            with ending.deferred():
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.01)
                done.append(True)
    assert done


def test_an_error_without_a_signal_goes_on():
    with pytest.raises(RuntimeError, match="out of paper"), Ending():
        raise RuntimeError("out of paper")


def test_the_third_signal_interrupts_a_callback(node):
    passed = []

    def callback():
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            passed.append(True)

    node.create_timer(0.02, callback)
    with Ending() as ending:
        ending.spin(node)
    assert passed == [True, True]


def test_shutdown_of_ros_is_an_end():
    with Ending() as ending:
        raise ExternalShutdownException
    assert not ending.asked


def test_a_callback_may_shut_ros_down(node):
    node.create_timer(0.02, rclpy.shutdown)
    with Ending() as ending:
        ending.spin(node)
    assert not ending.asked


def test_handlers_are_put_back_and_ignored_signals_stay_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN), signal.getsignal(signal.SIGTERM)
    try:
        with Ending():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not before[1]
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == (signal.SIG_IGN, before[1])
    finally:
        signal.signal(signal.SIGINT, before[0])
