# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: binding=False, embedsignature=True
"""The client's native data path: the same names and answers as ``_reference``, its twin.

Memory is safe whatever the bytes say: records are read by the bounded readers of the records room.
State is guarded by the GIL: between looking at a batch and writing to it, nothing here runs Python
code or makes an object that the garbage collector tracks, so that no other thread comes between.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBuffer_FillInfo,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.dict cimport PyDict_GetItem
from cpython.list cimport PyList_AsTuple, PyList_GET_ITEM, PyList_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from ottla.client._native_io cimport give_way, have_gil, waiting_engines, want_gil

from contextvars import copy_context
from operator import index

from ottla.client.appended import PARTITIONERS, header_pairs, refusal
from ottla.client.errors import KafkaException
from ottla.records.batch import read_header
from ottla.records.crc import crc32c as portable_crc32c
from ottla.records.errors import BatchTooLarge, CorruptBatch, RecordsError
from ottla.records.rejection import invalid_record

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object, Py_ssize_t*) except NULL
    object PyUnicode_DecodeUTF8(const char*, Py_ssize_t, const char*)
    void PyObject_GC_UnTrack(void*) noexcept
    void PyObject_GC_Track(void*) noexcept
    bint PyObject_GC_IsTracked(object) noexcept
    object PyMemoryView_FromMemory(char*, Py_ssize_t, int)
    Py_ssize_t Py_REFCNT(PyObject*) noexcept
    const int PyBUF_READ

cdef extern from "stdint.h":
    const int64_t INT64_MAX

cdef extern from "_crc32c.h":
    int ottla_crc32c_prepare() nogil
    uint32_t ottla_crc32c(uint32_t, const uint8_t*, size_t) nogil

cdef extern from "_native_pause.h" nogil:
    void ottla_come_back(int*, int*)
    void ottla_await_return(int*, int*, int, long)

cdef extern from "sched.h" nogil:
    int sched_yield()

cdef extern from "_native_clock.h":
    int64_t ottla_wall_ms() nogil
    int64_t ottla_monotonic_us() nogil

NAME = "native"

cdef bint _HAS_FAST_CRC = ottla_crc32c_prepare()

# About 5 us of work: below that, other threads gain less than switching costs.
cdef Py_ssize_t _RELEASE_GIL_BYTES = 65536

cdef enum:
    TRANSACTIONAL_FLAG = 0x10
    CONTROL_FLAG = 0x20

include "../records/_native_format.pxi"
include "../records/_native_walk.pxi"
include "_native_message.pxi"
include "_native_partitioners.pxi"
include "_native_future.pxi"
include "_native_batch.pxi"
include "_native_accumulator.pxi"
include "_native_producer.pxi"
include "_native_rows.pxi"
include "_native_cursor.pxi"
include "_native_columns.pxi"
include "_native_lines.pxi"
include "_native_consumer.pxi"
