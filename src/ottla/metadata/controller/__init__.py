"""The controller's decisions: pure functions of the image, one module a subject.

Each is ``decide_*(image, …) -> Decision(records, reply)``. What is wrong with one item of a request
is a :class:`~ottla.wire.errors.ProtocolError` in the reply, so that it never fails the others.

Nothing is imported here: a broker starts with ``controller.brokers`` alone, the rest is loaded by
the first request that needs it.
"""
