# cython: boundscheck=False, wraparound=False, cdivision=True, binding=False, embedsignature=True
"""The engine's selector and sockets, and how it gets the GIL from a busy application at once.

A Python thread that comes back from the system waits for the GIL up to the interpreter's switch
interval, 5 ms, as long as another thread is busy. So the engine's thread says that it waits
(``waiting_engines``) before it takes the GIL, and the native functions that a busy application
calls all the time, ``produce`` and ``poll``, look there (a plain load) and give way. What is short
is done without giving the GIL up at all.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBUF_WRITABLE,
    PyBuffer_FillInfo,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport int64_t

import errno
import os
from selectors import SelectorKey

cdef extern from "_native_io.h" nogil:
    const int OTTLA_HAS_SELECTOR
    const int OTTLA_READ
    const int OTTLA_MOST_EVENTS
    const int OTTLA_MOST_BUFFERS
    ctypedef struct ottla_event:
        int fd
        int events
    ctypedef struct ottla_buffer:
        const char* data
        size_t size
    void ottla_want(int*)
    void ottla_have(int*)
    void ottla_await_engines(int*)
    int ottla_selector_open()
    int ottla_wake_open()
    void ottla_wake(int)
    void ottla_wake_clear(int)
    int ottla_control(int, int, int, int)
    int ottla_select(int, ottla_event*, int)
    int64_t ottla_receive(int, char*, size_t)
    int64_t ottla_receive_much(int, int, char*, size_t)
    int64_t ottla_send(int, const ottla_buffer*, int)

HAS_SELECTOR = bool(OTTLA_HAS_SELECTOR)

# Copying less than this takes less time than getting the GIL back would.
cdef size_t _RELEASE_GIL_BYTES = 65537
# As many seconds as fit into the system's count of milliseconds.
cdef double _MAX_TIMEOUT_S = 2_000_000.0

cdef enum:
    _ADD = 0
    _MODIFY = 1
    _REMOVE = 2


cdef void give_way() noexcept:
    with nogil:
        ottla_await_engines(&waiting_engines)


cdef void want_gil() noexcept nogil:
    ottla_want(&waiting_engines)


cdef void have_gil() noexcept nogil:
    ottla_have(&waiting_engines)


def give_way_to_engines() -> None:
    """Let engines that wait for the GIL have it; costs next to nothing when none does."""
    if waiting_engines > 0:
        give_way()


cdef class NativeSelector:
    """A selector as ``selectors.EpollSelector`` is one, with a wake-up of its own.

    ``wake`` may be called in any thread; then ``wake_fd`` turns up among the ready ones, if
    somebody has registered it.
    """

    cdef int _selector
    cdef dict _keys
    cdef readonly int wake_fd

    def __cinit__(self):
        self._selector = self.wake_fd = -1
        self._keys = {}
        self._selector = ottla_selector_open()
        self.wake_fd = ottla_wake_open()
        if self._selector < 0 or self.wake_fd < 0:
            raise OSError(errno.ENOSYS, "no selector")
        # Watched from the start, whether or not anybody wants to be told.
        self._control(_ADD, self.wake_fd, OTTLA_READ)

    def __dealloc__(self):
        if self._selector >= 0 or self.wake_fd >= 0:
            self._close()

    def register(self, fileobj, int events, data=None):
        """Watch a descriptor."""
        cdef int fd = _descriptor(fileobj)
        if fd in self._keys:
            raise KeyError(f"{fileobj!r} (FD {fd}) is already registered")
        key = SelectorKey(fileobj, fd, events, data)
        if fd != self.wake_fd:
            self._control(_ADD, fd, events)
        self._keys[fd] = key
        return key

    def modify(self, fileobj, int events, data=None):
        """Watch it for something else."""
        key = self.get_key(fileobj)
        if events != key.events and key.fd != self.wake_fd:
            self._control(_MODIFY, key.fd, events)
        key = key._replace(events=events, data=data)
        self._keys[key.fd] = key
        return key

    def unregister(self, fileobj):
        """Watch it no more."""
        key = self.get_key(fileobj)
        del self._keys[key.fd]
        if key.fd != self.wake_fd:
            # One that was closed already is not watched any more.
            ottla_control(self._selector, _REMOVE, key.fd, 0)
        return key

    def get_key(self, fileobj):
        """What was registered; raises KeyError if nothing was."""
        try:
            return self._keys[_descriptor(fileobj)]
        except ValueError:
            raise KeyError(f"{fileobj!r} is not registered") from None

    def get_map(self):
        """All keys by descriptor."""
        return self._keys

    cdef int _control(self, int operation, int fd, int events) except -1:
        if ottla_control(self._selector, operation, fd, events) < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return 0

    def wake(self) -> None:
        """End a wait in ``select``, or the next one."""
        ottla_wake(self.wake_fd)

    def select(self, timeout=None):
        """What is ready, as a list of (key, events); waits so many seconds for the first."""
        cdef ottla_event events[64]
        cdef int timeout_ms = _milliseconds(timeout)
        # Often something is there already: then nothing is waited for, nor the GIL given up.
        cdef int count = ottla_select(self._selector, events, 0)
        if count == 0 and timeout_ms != 0:
            with nogil:
                count = ottla_select(self._selector, events, timeout_ms)
                ottla_want(&waiting_engines)
            ottla_have(&waiting_engines)
        if count < 0:
            raise OSError(-count, os.strerror(-count))
        ready = []
        cdef int index
        for index in range(count):
            fd = events[index].fd
            if fd == self.wake_fd:
                ottla_wake_clear(self.wake_fd)
            key = self._keys.get(fd)
            if key is not None:
                mask = events[index].events & key.events
                if mask:
                    ready.append((key, mask))
        return ready

    def close(self) -> None:
        """Give the descriptors back."""
        self._close()
        self._keys.clear()

    cdef void _close(self) noexcept:
        for fd in (self._selector, self.wake_fd):
            if fd >= 0:
                os.close(fd)
        self._selector = self.wake_fd = -1


cdef int _milliseconds(timeout) except -2:
    if timeout is None:
        return -1
    cdef double seconds = timeout
    if seconds <= 0:
        return 0
    if seconds > _MAX_TIMEOUT_S:
        seconds = _MAX_TIMEOUT_S
    # Rounded up: who is woken too early would wait again at once.
    cdef double milliseconds = seconds * 1000
    cdef int whole = <int>milliseconds
    return whole if whole == milliseconds else whole + 1


cdef int _descriptor(fileobj) except -1:
    cdef int fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
    if fd < 0:
        raise ValueError(f"Invalid file descriptor: {fd}")
    return fd


# What is kept of the memory that is not used any more: enough for an answer that is read, one that
# waits and one that comes.
cdef enum:
    _MOST_KEPT = 3
    _MOST_KEPT_BYTES = 33554432
    _GRAIN_BYTES = 65536


cdef class ReceiveMemory:
    """Room for large answers, used again as soon as nobody looks at them any more.

    Memory that was never used costs more time, page by page, than receiving into it. One kind of
    answers follows another in about the same size, so that few blocks do for all of them.
    """

    cdef char* _kept[3]
    cdef Py_ssize_t _kept_sizes[3]
    cdef int _kept_count
    cdef Py_ssize_t _kept_bytes

    def __dealloc__(self):
        self._give_back()

    def room(self, Py_ssize_t size):
        """A writable buffer of so many bytes, which may hold anything."""
        cdef _Room room = _Room.__new__(_Room)
        room._size = size
        room._memory = self
        self._take(room)
        return room

    def give_back(self) -> None:
        """Keep nothing: no large answers are expected."""
        self._give_back()

    cdef int _take(self, _Room room) except -1:
        cdef int index
        cdef Py_ssize_t capacity
        for index in range(self._kept_count - 1, -1, -1):
            capacity = self._kept_sizes[index]
            if room._size <= capacity <= 4 * room._size:
                room._data = self._kept[index]
                room._capacity = capacity
                self._remove(index)
                return 0
            if capacity < room._size:
                # Answers have become larger.
                PyMem_RawFree(self._kept[index])
                self._remove(index)
        # Answers are mostly a little smaller or larger than those before.
        capacity = (room._size + room._size // 32) // _GRAIN_BYTES * _GRAIN_BYTES + _GRAIN_BYTES
        room._data = <char*>PyMem_RawMalloc(capacity)
        if room._data == NULL:
            raise MemoryError
        room._capacity = capacity
        return 0

    cdef void _remove(self, int index) noexcept:
        self._kept_bytes -= self._kept_sizes[index]
        self._kept_count -= 1
        self._kept[index] = self._kept[self._kept_count]
        self._kept_sizes[index] = self._kept_sizes[self._kept_count]

    cdef void _return(self, char* data, Py_ssize_t capacity) noexcept:
        if self._kept_count == _MOST_KEPT or self._kept_bytes + capacity > _MOST_KEPT_BYTES:
            PyMem_RawFree(data)
            return
        self._kept[self._kept_count] = data
        self._kept_sizes[self._kept_count] = capacity
        self._kept_count += 1
        self._kept_bytes += capacity

    cdef void _give_back(self) noexcept:
        while self._kept_count > 0:
            self._kept_count -= 1
            PyMem_RawFree(self._kept[self._kept_count])
        self._kept_bytes = 0


# Nothing that it refers to can refer back to it.
@cython.no_gc
cdef class _Room:
    """A block of ``ReceiveMemory``, which gets it back when nobody looks at it any more."""

    cdef ReceiveMemory _memory
    cdef char* _data
    cdef Py_ssize_t _size, _capacity

    def __dealloc__(self):
        if self._data != NULL:
            self._memory._return(self._data, self._capacity)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self._data, self._size, 0, flags)


def receive(int fd, buffer, int wake_fd=-1) -> int:
    """Receive into a writable buffer; the number of bytes, 0 at the end, -1 if there are none yet.

    With a ``wake_fd``, as much of a large buffer is filled as comes in the next milliseconds, until
    that descriptor is readable: to take the GIL back each time costs more than the system calls.

    Raises:
        OSError: the connection is broken.
    """
    cdef Py_buffer view
    cdef int64_t count
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE | PyBUF_WRITABLE)
    try:
        if <size_t>view.len < _RELEASE_GIL_BYTES:
            count = ottla_receive(fd, <char*>view.buf, view.len)
        else:
            with nogil:
                if wake_fd >= 0:
                    count = ottla_receive_much(fd, wake_fd, <char*>view.buf, view.len)
                else:
                    count = ottla_receive(fd, <char*>view.buf, view.len)
                ottla_want(&waiting_engines)
            ottla_have(&waiting_engines)
    finally:
        PyBuffer_Release(&view)
    return _outcome(count)


def send(int fd, list buffers) -> int:
    """Send the first buffers of a list, at most as many as the system takes at once; the number of
    bytes sent, -1 if none can be sent now.

    Raises:
        OSError: the connection is broken.
    """
    cdef Py_buffer views[64]
    cdef ottla_buffer parts[64]
    cdef int held = 0
    cdef int wanted = min(len(buffers), OTTLA_MOST_BUFFERS)
    cdef size_t size = 0
    cdef int64_t count
    try:
        while held < wanted:
            PyObject_GetBuffer(buffers[held], &views[held], PyBUF_SIMPLE)
            parts[held].data = <const char*>views[held].buf
            parts[held].size = views[held].len
            size += views[held].len
            held += 1
        if size < _RELEASE_GIL_BYTES:
            count = ottla_send(fd, parts, held)
        else:
            with nogil:
                count = ottla_send(fd, parts, held)
                ottla_want(&waiting_engines)
            ottla_have(&waiting_engines)
    finally:
        while held > 0:
            held -= 1
            PyBuffer_Release(&views[held])
    return _outcome(count)


cdef object _outcome(int64_t count):
    if count >= 0:
        return count
    if -count in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR):
        return -1
    raise OSError(-count, os.strerror(-count))
