# How many threads of engines wait for the GIL at this moment. Who has it looks here now and then,
# and gives way.
cdef int waiting_engines

cdef void give_way() noexcept

# Around work that an engine does without the GIL: it wants it back, it has it back. Otherwise it
# would wait for a busy application up to the interpreter's switch interval.
cdef void want_gil() noexcept nogil
cdef void have_gil() noexcept nogil
