"""PyCUDA's interface as its documentation and source describe it, on the GPU of fake_nvidia.py.

Contexts are a stack of each thread. What is dropped where the context is neither current nor retained by this thread is
never freed, as in PyCUDA, which warns of it (`scoped_context_activation` in its cuda.hpp).
"""

import ctypes
import threading

import numpy as np


class Error(Exception):
    """pycuda.driver.Error, whose subclasses hide those that Python has."""


ERRORS = {name: type(name, (Error,), {}) for name in ("MemoryError", "LogicError", "LaunchError", "RuntimeError")}


def content(nvidia):
    """Of the module pycuda.driver."""

    def init(flags=0):
        if nvidia.no_driver:
            raise ERRORS["RuntimeError"]("cuInit failed: no CUDA-capable device is detected")

    def mem_alloc(bytes):
        return _made(nvidia, DeviceAllocation, bytes)

    def pagelocked_empty(shape, dtype, order="C", mem_flags=0):
        allocation = _made(nvidia, PagelockedHostAllocation, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        allocation.__array_interface__ = {
            "shape": shape, "typestr": np.dtype(dtype).str, "data": (allocation.address, False), "version": 3,
        }  # fmt: skip
        return np.asarray(allocation)

    def memcpy_htod_async(dest, src, stream=None):
        there, here, size = _copied(nvidia, dest, src)
        stream.order(lambda: ctypes.memmove(there, here, size))

    def memcpy_dtoh_async(dest, src, stream=None):
        there, here, size = _copied(nvidia, src, dest)
        stream.order(lambda: ctypes.memmove(here, there, size))

    functions = (init, mem_alloc, pagelocked_empty, memcpy_htod_async, memcpy_dtoh_async)
    classes = {"Device": _of(nvidia, Device), "Stream": _of(nvidia, Stream)}
    others = {kind.__name__: kind for kind in (Error, Context, DeviceAllocation, PagelockedHostAllocation)}
    return {function.__name__: function for function in functions} | classes | others | ERRORS


def _copied(nvidia, device, rows):
    """Addresses on the GPU and of rows in page-locked memory, and how many bytes."""
    assert rows.flags.c_contiguous and rows.flags.writeable
    here = rows.ctypes.data
    for address in (int(device), here):
        nvidia.array(address, rows.shape)
    return int(device), here, rows.nbytes


def _of(nvidia, kind):
    """The class with its GPU, and with the signature that it has."""
    return type(kind.__name__, (kind,), {"nvidia": nvidia})


class Device:
    def __init__(self, number):
        assert number == 0

    def name(self):
        return self.nvidia.name

    def compute_capability(self):
        return tuple(map(int, self.nvidia.arch))

    def retain_primary_context(self):
        return Context(self.nvidia)


class Context:
    stacks = threading.local()

    def __init__(self, nvidia):
        self.nvidia, self.thread = nvidia, threading.get_ident()

    def push(self):
        Context.stacks.__dict__.setdefault("all", []).append(self)
        self.nvidia.threads.add(threading.get_ident())

    def detach(self):
        pass

    @staticmethod
    def pop():
        stack = Context.stacks.__dict__.get("all", [])
        if not stack:
            raise ERRORS["LogicError"]("context::pop failed: invalid device context - cannot pop non-current context")
        last = stack.pop()
        if not stack:
            last.nvidia.threads.discard(threading.get_ident())


class Dependent:
    """What belongs to the context that was current when it was made."""

    def __init__(self, nvidia):
        stack = Context.stacks.__dict__.get("all")
        if not stack:
            raise ERRORS["LogicError"]("invalid device context: no currently active context?")
        self.nvidia, self.context, self.valid = nvidia, stack[-1], True

    def free(self):
        self.nvidia.check_current()
        assert self.valid, "freed twice"
        self.valid = False
        self.ended()

    def ended(self):
        raise NotImplementedError

    def __del__(self):
        here = threading.get_ident()
        if getattr(self, "valid", False) and (here in self.nvidia.threads or here == self.context.thread):
            self.ended()


class Memory(Dependent):
    def __init__(self, nvidia, size):
        super().__init__(nvidia)
        self.valid = False
        self.size, self.address = size, nvidia.take(size, ERRORS["MemoryError"]("cuMemAlloc failed: out of memory"))
        self.valid, self.kept = True, nvidia.live[self.address]  # its bytes may be looked at after they were freed

    def ended(self):
        self.nvidia.release(self.address, self.size)


class DeviceAllocation(Memory):
    def __int__(self):
        return self.address


class PagelockedHostAllocation(Memory):
    """What page-locked arrays stand on."""


def _made(nvidia, kind, size):
    assert isinstance(size, int)
    return kind(nvidia, size)


class Stream(Dependent):
    """What is ordered happens when somebody waits for it, and not before."""

    builder = None  # nothing captures it

    def __init__(self, flags=0):
        super().__init__(self.nvidia)
        self.queue, self.number = [], self.nvidia.new_stream(self)

    @property
    def handle(self):
        return self.number

    def order(self, work):
        self.nvidia.check_current()
        self.queue.append(work)

    def synchronize(self):
        self.nvidia.check_current()
        queue, self.queue = self.queue, []
        for work in queue:
            work()
        return self

    def ended(self):
        self.nvidia.ended_streams.append(self.number)
