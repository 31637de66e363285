"""Addresses of live streams: what is meant by a text, and whether others than this machine are reached by it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from hmr_ros.errors import ConfigError

_HOST_PORT = re.compile(r"(\*|[\w.-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})")


@dataclass(frozen=True)
class Address:
    """Host (a name or a number; * for all interfaces) and port."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether nobody but this machine is reached."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # a name, or *
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(text: str, setting: str, example: str, scheme: str = "") -> Address:
    """`scheme` HOST:PORT as an address; ConfigError names the setting and an `example`."""
    found = _HOST_PORT.fullmatch(text.removeprefix(scheme)) if text.startswith(scheme) else None
    if found is None or not 0 < int(found[2]) < 65536:
        raise ConfigError(f"{setting} is '{text}'; give an address such as {example}")
    return Address(found[1].strip("[]"), int(found[2]))
