# How many threads of engines wait for the GIL at this moment. Who has it looks here now and then,
# and gives way.
cdef int waiting_engines

cdef void give_way() noexcept
