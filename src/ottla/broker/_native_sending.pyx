# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The native twin of ``part_sending.send_parts``: the system is called without the GIL."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EBADF, EINTR, ENODATA, errno
from posix.types cimport off_t

cdef extern from "_native_sending.h":
    enum: OTTLA_COLD
    enum: OTTLA_FULL
    Py_ssize_t ottla_send_bytes(int, const char*, Py_ssize_t) nogil
    Py_ssize_t ottla_send_slice(int, int, off_t, Py_ssize_t) nogil
    bint ottla_is_cached(int, off_t, Py_ssize_t) nogil


def send_parts(int descriptor, parts, Py_ssize_t index, Py_ssize_t done_bytes, bint is_warm):
    cdef Py_ssize_t count = len(parts), left_bytes, sent
    cdef const char* data
    cdef off_t position
    cdef int file, error
    cdef bint is_cold
    while index < count:
        part = parts[index]
        is_cold = False
        if isinstance(part, bytes):
            data = PyBytes_AS_STRING(part) + done_bytes
            left_bytes = PyBytes_GET_SIZE(part) - done_bytes
            with nogil:
                sent = ottla_send_bytes(descriptor, data, left_bytes)
                error = errno
        else:
            found = part.fileno()
            if found is None:
                return index, done_bytes, -EBADF
            file = found
            position = part.position + done_bytes
            left_bytes = part.size_bytes - done_bytes
            with nogil:
                if not done_bytes and not is_warm:
                    is_cold = not ottla_is_cached(file, position, left_bytes)
                if not is_cold:
                    sent = ottla_send_slice(descriptor, file, position, left_bytes)
                    error = errno
            if is_cold:
                return index, done_bytes, OTTLA_COLD
            if sent == 0:
                return index, done_bytes, -ENODATA
        if sent < 0:
            # Interrupted by a signal, it is tried again as soon as the loop has looked at that.
            if error == EAGAIN or error == EINTR:
                return index, done_bytes, OTTLA_FULL
            return index, done_bytes, -error
        if sent < left_bytes:
            return index, done_bytes + sent, OTTLA_FULL
        index += 1
        done_bytes = 0
        is_warm = False
    return index, 0, 0
