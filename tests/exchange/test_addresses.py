"""What an address means, and whom it reaches."""

import pytest

from hmr_ros.errors import ConfigError
from hmr_ros.exchange.addresses import address_of


@pytest.mark.parametrize(
    ("text", "host", "port", "is_loopback"),
    [
        ("tcp://127.0.0.1:5556", "127.0.0.1", 5556, True),
        ("tcp://localhost:1", "localhost", 1, True),
        ("tcp://[::1]:65535", "::1", 65535, True),
        ("tcp://*:5556", "*", 5556, False),
        ("tcp://0.0.0.0:5556", "0.0.0.0", 5556, False),
        ("tcp://192.168.1.20:5556", "192.168.1.20", 5556, False),
        ("tcp://robot-7.local:5556", "robot-7.local", 5556, False),
    ],
)
def test_addresses(text, host, port, is_loopback):
    address = address_of(text, "stream.sonic", "tcp://127.0.0.1:5556", "tcp://")
    assert (address.host, address.port, address.is_loopback) == (host, port, is_loopback)
    assert f"tcp://{address}" == text


@pytest.mark.parametrize(
    "text",
    ["", "5556", "127.0.0.1:5556", "udp://127.0.0.1:5556", "tcp://127.0.0.1", "tcp://:5556", "tcp://a b:1",
     "tcp://127.0.0.1:0", "tcp://127.0.0.1:65536", "tcp://127.0.0.1:5556/x", "tcp://::1:5556", "tcp://a:1\n"],
)  # fmt: skip
def test_what_is_none_is_said_with_an_example(text):
    with pytest.raises(ConfigError, match=r"stream.sonic is '.*'; give an address such as tcp://127.0.0.1:5556"):
        address_of(text, "stream.sonic", "tcp://127.0.0.1:5556", "tcp://")
