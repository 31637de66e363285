"""What was seen, moment by moment, and which moment is shown: the newest, or one that is played or sought."""

from __future__ import annotations

import threading
from bisect import bisect_right
from dataclasses import dataclass, replace

import numpy as np

from hmr_ros.types import Floats, Human

_MOST = 3600  # moments of a live source that are kept: two minutes at 30 Hz


@dataclass(frozen=True)
class Moment:
    """One frame: its people, and its image where there is one."""

    stamp_ns: int
    humans: list[Human]
    K: Floats  # [3,3] px
    width: int  # px
    height: int  # px
    R_world_camera: Floats  # [3,3] frame of the people -> axes of the world
    image: bytes | None = None  # JPEG
    delay_s: float | None = None  # from the image to its answer
    t_world_camera: Floats | None = None  # [3] m; None: as high over the floor as people's feet say
    in_camera: bool = True  # False: people are in another frame than the camera's, which is not known then


class Playback:
    """Moments in the order of their stamps. Safe to use from several threads."""

    def __init__(self, most: int | None = _MOST) -> None:
        """`most` moments are kept, the newest; None: all."""
        self._most, self._lock = most, threading.Lock()
        self._moments: list[Moment] = []
        self._at_ns: float | None = None  # None: the newest is shown
        self.playing = True

    def add(self, moment: Moment) -> None:
        """The newest moment; where stamps jump back, a recording began anew and what was kept is forgotten."""
        with self._lock:
            if self._moments and moment.stamp_ns < self._moments[-1].stamp_ns:
                self._moments, self._at_ns = [], None
            self._moments.append(moment)
            if self._most is not None and len(self._moments) > self._most:
                del self._moments[0]

    def set_image(self, index: int, image: bytes) -> None:
        """The image of a moment that is kept already."""
        with self._lock:
            if index < len(self._moments):
                self._moments[index] = replace(self._moments[index], image=image)

    def __len__(self) -> int:
        return len(self._moments)

    @property
    def moments(self) -> list[Moment]:
        """All that are kept."""
        with self._lock:
            return list(self._moments)

    @property
    def seconds(self) -> float:
        """From the first moment that is kept to the last."""
        with self._lock:
            return (self._moments[-1].stamp_ns - self._moments[0].stamp_ns) * 1e-9 if self._moments else 0.0

    @property
    def position_s(self) -> float:
        """Of the moment that is shown, from the first."""
        with self._lock:
            if not self._moments or self._at_ns is None:
                return (self._moments[-1].stamp_ns - self._moments[0].stamp_ns) * 1e-9 if self._moments else 0.0
            return max(0.0, (self._at_ns - self._moments[0].stamp_ns) * 1e-9)

    def seek(self, position_s: float) -> None:
        """Show what was seen so long after the first moment."""
        with self._lock:
            if self._moments:
                self._at_ns = self._moments[0].stamp_ns + 1e9 * position_s

    def follow(self) -> None:
        """Show the newest from now on."""
        with self._lock:
            self._at_ns, self.playing = None, True

    def pause(self) -> None:
        """Stay at this moment."""
        with self._lock:
            if self._at_ns is None and self._moments:
                self._at_ns = float(self._moments[-1].stamp_ns)
            self.playing = False

    def advance(self, passed_s: float, loop: bool) -> None:
        """Go on by so much, if it plays; at the end begin anew with `loop`, else follow what is still to come."""
        with self._lock:
            if not self.playing or self._at_ns is None or not self._moments:
                return
            self._at_ns += 1e9 * passed_s
            if self._at_ns > self._moments[-1].stamp_ns:
                self._at_ns = float(self._moments[0].stamp_ns) if loop else None

    def current(self) -> Moment | None:
        """What is shown; None while there is nothing."""
        with self._lock:
            index = self._index()
            return None if index is None else self._moments[index]

    def trail(self, seconds: float) -> list[Moment]:
        """The moments of so many seconds up to the one that is shown."""
        with self._lock:
            index = self._index()
            if index is None:
                return []
            start = self._moments[index].stamp_ns - 1e9 * seconds
            first = bisect_right(self._moments, start, key=lambda m: m.stamp_ns)
            return self._moments[first : index + 1]

    def rate(self) -> float:
        """Moments a second, over the last second before the one that is shown."""
        stamps = np.array([m.stamp_ns for m in self.trail(1.0)])
        return 1e9 * (len(stamps) - 1) / float(np.ptp(stamps)) if len(stamps) > 1 and np.ptp(stamps) > 0 else 0.0

    def _index(self) -> int | None:
        if not self._moments:
            return None
        if self._at_ns is None:
            return len(self._moments) - 1
        return max(0, bisect_right(self._moments, self._at_ns, key=lambda m: m.stamp_ns) - 1)
