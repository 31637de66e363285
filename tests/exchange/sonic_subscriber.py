"""A subscriber of a SONIC stream that collects what comes."""

import threading
import time

import zmq


class Subscriber:
    """Collects messages in a thread until it is closed."""

    def __init__(self, address):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.SUB)
        self.socket.subscribe(b"pose")
        self.socket.connect(address)
        self.messages, self.stopping = [], threading.Event()
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        while not self.stopping.is_set():
            if self.socket.poll(50):
                self.messages.append(self.socket.recv())

    def wait(self, condition, timeout=30.0):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"timed out with {len(self.messages)} messages"
            time.sleep(0.02)

    def close(self):
        self.stopping.set()
        self.thread.join()
        self.socket.close(0)
        self.context.term()
