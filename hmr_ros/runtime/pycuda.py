"""CUDA through PyCUDA, which has no stream capture: kernels are launched one by one. It has not run on a GPU yet.

PyCUDA frees something only where its context is current, or in the thread that retained the context; elsewhere it warns
and leaks. So what is made here is let go with the context made current, whichever thread drops it.
"""

from __future__ import annotations

import atexit
import functools
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, cast

import numpy as np

from hmr_ros.errors import AssetError
from hmr_ros.runtime import cuda
from hmr_ros.types import Floats

if TYPE_CHECKING:
    from pycuda.driver import Context, Device, PagelockedHostAllocation
    from pycuda.driver import Stream as PyCudaStream


class Pair(cuda.Pair):
    """Page-locked rows, and the memory they are copied to and from."""

    def __init__(self, stream: Stream, rows: Floats, device: cuda.DeviceMemory, whole: Pair | None = None) -> None:
        self._stream, self.rows, self._device, self._whole = stream, rows, device, whole
        self.handle = device.handle

    def first(self, people: int) -> Pair:
        """Leading rows lie together: their size says how much is copied."""
        return Pair(self._stream, self.rows[:people], self._device, self._whole or self)

    def upload(self) -> None:
        """See the contract."""
        from pycuda.driver import memcpy_htod_async

        memcpy_htod_async(self.handle, self.rows, self._stream.ordered)

    def download(self) -> None:
        """See the contract."""
        from pycuda.driver import memcpy_dtoh_async

        memcpy_dtoh_async(self.rows, self.handle, self._stream.ordered)


class Stream(cuda.Stream):
    """Held in a list alone, so that it ends when the list is cleared."""

    def __init__(self, context: Context) -> None:
        from pycuda.driver import Stream as PyCudaStream

        self._context, self._held = context, [PyCudaStream()]
        self.handle = self.ordered.handle
        _freed_with(self, context, self._held.clear)

    @property
    def ordered(self) -> PyCudaStream:
        """What copies are ordered on."""
        return self._held[0]

    def sync(self) -> None:
        """See the contract."""
        self.ordered.synchronize()

    def memory(self, size: int) -> cuda.DeviceMemory:
        """See the contract."""
        from pycuda.driver import mem_alloc

        allocation = mem_alloc(size)
        memory = cuda.DeviceMemory(int(allocation), size)
        _freed_with(memory, self._context, allocation.free)
        return memory

    def pair(self, shape: tuple[int, ...]) -> Pair:
        """See the contract."""
        from pycuda.driver import pagelocked_empty

        rows = pagelocked_empty(shape, np.float32)
        pair = Pair(self, rows, self.memory(rows.nbytes))
        host = cast("PagelockedHostAllocation", rows.base)
        _freed_with(pair, self._context, host.free)
        return pair

    def capture(self, order: Callable[[], None]) -> NoReturn:
        """AssetError: it has none."""
        raise AssetError(PyCuda.cannot_capture)


class PyCuda(cuda.Cuda):
    """Through PyCUDA."""

    package = "pycuda"
    cannot_capture = (
        "PyCUDA has no stream capture; for CUDA graphs pip install 'cuda-core[cu13]', or cu12, as the driver"
    )

    @staticmethod
    def failures() -> tuple[type[Exception], ...]:
        """See the contract; PyCUDA's MemoryError, LogicError, LaunchError and RuntimeError are of this class."""
        from pycuda.driver import Error

        return (Error, RuntimeError)

    def __init__(self) -> None:
        from pycuda.driver import Device, init

        init()
        device = Device(0)
        self.name, self.arch = device.name(), "{}{}".format(*device.compute_capability())
        self._context = _primary_context(device)

    @contextmanager
    def current(self) -> Iterator[None]:
        """For as long as the thread works: the node computes in a worker."""
        self._context.push()
        try:
            yield
        finally:
            self._context.pop()

    def stream(self) -> Stream:
        """See the contract."""
        return Stream(self._context)


@functools.cache
def _primary_context(device: Device) -> Context:
    """Retained once a process and kept: releasing it, PyCUDA leaves it on the calling thread's stack of contexts."""
    context = device.retain_primary_context()
    atexit.register(context.detach)  # or its destructor detaches as if it were no primary one, and says that this fails
    return context


def _freed_with(holder: object, context: Context, free: Callable[[], object]) -> None:
    """`free` is called when `holder` is gone, with the context current."""

    def let_go() -> None:
        context.push()
        try:
            free()
        finally:
            context.pop()

    # not at the exit: a thread that does not end may still work, and the driver frees everything
    weakref.finalize(holder, let_go).atexit = False
