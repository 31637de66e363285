"""TensorRT's, cuda-core's and PyCUDA's Python interfaces as documented, for tests of our own logic.

Memory of the GPU is ordinary memory, networks are answered by ONNX Runtime, and what is misuse by the documentation
fails here. That something works with this says nothing about TensorRT or about a GPU: it has not run on either.
"""

import ctypes
import itertools
import sys
import threading
import weakref
from importlib.machinery import ModuleSpec
from types import ModuleType

import fake_pycuda
import fake_tensorrt
import numpy as np


class CUDAError(Exception):
    """cuda.core._utils.cuda_utils.CUDAError."""


class FakeNvidia:
    """One GPU with the TensorRT of a version and packages for CUDA; set the attributes below to let something fail."""

    def __init__(self, version="10.13.0.35", packages=("cuda-core", "pycuda")):
        self.packages = packages
        self.version, self.major = version, int(version.split(".")[0])
        self.name, self.arch = "Fake GPU", "89"
        self.no_driver = False
        self.free_bytes = 1 << 30
        self.broken = set()  # Builder, Runtime, profile, build, context, address, shape, execute, cache
        self.uncapturable = set()  # numbers of people
        self.unfinished = set()  # of which the graph cannot be made of what was captured
        self.network_flags, self.cleared, self.caches, self.strategies = [], [], [], []
        self.graphs = []  # every graph, with the number of its launches
        self.live = {}  # address -> memory
        self.streams = weakref.WeakValueDictionary()  # by handle
        self.handles = itertools.count(4096)
        self.ended_streams = []  # of PyCUDA
        self.threads = set()  # on which the device is current

    def modules(self):
        """By the names they are imported with."""
        core = _module("cuda.core", Device=_device(self), Buffer=_Buffer, Stream=_Stream, MemoryResource=object)
        core.LegacyPinnedMemoryResource = _pinned(self)
        graph = _module("cuda.core.graph", Graph=_Graph, GraphBuilder=_GraphBuilder)
        errors = _module("cuda.core._utils.cuda_utils", CUDAError=CUDAError)
        parents = [_module("cuda", core=core), _module("cuda.core._utils", cuda_utils=errors)]
        driver = _module("pycuda.driver", **fake_pycuda.content(self))
        groups = {"cuda-core": (core, graph, errors, *parents), "pycuda": (_module("pycuda", driver=driver), driver)}
        found = {"tensorrt": _module("tensorrt", **fake_tensorrt.content(self))}
        for package, modules in groups.items():
            found |= {m.__name__: m if package in self.packages else None for m in modules}  # None: not to be imported
        return found

    def install(self, monkeypatch):
        """In place of what is installed."""
        for name, module in self.modules().items():
            monkeypatch.setitem(sys.modules, name, module)
        return self

    def take(self, size, error):
        """Address of so many bytes; the error where there are not as many."""
        if not 0 < size <= self.free_bytes:
            raise error
        self.free_bytes -= size
        memory = ctypes.create_string_buffer(size)
        address = ctypes.addressof(memory)
        self.live[address] = memory
        return address

    def allocate(self, size):
        """A buffer of cuda-core."""
        address = self.take(
            size,
            CUDAError("CUDA_ERROR_OUT_OF_MEMORY: The API call failed because it was unable to allocate enough memory"),
        )
        buffer = _Buffer(self, address, size, None)
        weakref.finalize(buffer, self.release, address, size)
        return buffer

    def release(self, address, size):
        self.free_bytes += size
        del self.live[address]

    def array(self, address, shape):
        """float32 numbers at an address, which must be memory that nobody gave back."""
        bytes_ = 4 * int(np.prod(shape))
        assert any(a <= address and address + bytes_ <= a + len(m) for a, m in self.live.items()), "not allocated"
        return np.frombuffer((ctypes.c_char * bytes_).from_address(address), np.float32).reshape(shape)

    def new_stream(self, stream):
        handle = next(self.handles)
        self.streams[handle] = stream
        return handle

    def check_current(self):
        if threading.get_ident() not in self.threads:
            raise CUDAError("CUDA_ERROR_INVALID_CONTEXT: This most frequently indicates that there is no context bound")


def _module(name, **content):
    module = ModuleType(name)
    module.__path__, module.__spec__ = [], ModuleSpec(name, None)
    vars(module).update(content)
    return module


class _Buffer:
    def __init__(self, nvidia, handle, size, owner):
        self._nvidia, self.handle, self.size, self._owner = nvidia, handle, size, owner

    @staticmethod
    def from_handle(ptr, size, mr=None, owner=None, *, stream=None):
        return _Buffer(owner._nvidia, ptr, size, owner)

    def copy_to(self, dst=None, *, stream, options=None):
        if dst.size != self.size:
            raise ValueError("buffer sizes mismatch between src and dst")
        stream.order(lambda: ctypes.memmove(dst.handle, self.handle, self.size))
        return dst


class _Stream:
    """What is ordered happens when somebody waits for it, and not before."""

    def __init__(self, nvidia):
        self.nvidia, self.queue, self.builder = nvidia, [], None
        self.handle = nvidia.new_stream(self)

    def order(self, work):
        self.nvidia.check_current()
        (self.queue if self.builder is None else self.builder.work).append(work)

    def sync(self):
        self.nvidia.check_current()
        if self.builder is not None:
            raise CUDAError("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED: the stream is capturing")
        queue, self.queue = self.queue, []
        for work in queue:
            work()

    def create_graph_builder(self):
        return _GraphBuilder(self)


class _GraphBuilder:
    def __init__(self, stream):
        self.stream, self.work, self.people, self.refused = stream, [], None, False

    def begin_building(self, mode="relaxed"):
        assert mode == "thread_local" and not self.stream.queue
        self.stream.builder = self
        return self

    def order(self, work):
        self.stream.order(work)

    def end_building(self):
        self.stream.builder = None
        if self.refused:
            raise CUDAError("CUDA_ERROR_STREAM_CAPTURE_INVALIDATED: the capture was invalidated")
        return self

    def complete(self, options=None):
        if self.people in self.stream.nvidia.unfinished:
            raise CUDAError("CUDA_ERROR_NOT_SUPPORTED: the graph cannot be instantiated")
        return _Graph(self)


class _Graph:
    def __init__(self, builder):
        self.work, self.people, self.launches = builder.work, builder.people, 0
        builder.stream.nvidia.graphs.append(self)

    def upload(self, stream):
        stream.nvidia.check_current()

    def launch(self, stream):
        self.launches += 1
        for work in self.work:
            stream.order(work)


def _device(nvidia):
    class Device:
        def __new__(cls, device_id=None):
            if nvidia.no_driver:
                raise RuntimeError('"cuda" is an NVIDIA driver library and can only be found via system search.')
            return object.__new__(cls)

        name, arch = property(lambda self: nvidia.name), property(lambda self: nvidia.arch)

        def set_current(self, ctx=None):
            nvidia.threads.add(threading.get_ident())

        def create_stream(self, obj=None, options=None):
            nvidia.check_current()
            return _Stream(nvidia)

        def allocate(self, size, *, stream):
            nvidia.check_current()
            return nvidia.allocate(size)

    return Device


def _pinned(nvidia):
    class LegacyPinnedMemoryResource:
        def allocate(self, size, *, stream=None):
            nvidia.check_current()
            return nvidia.allocate(size)

    return LegacyPinnedMemoryResource
