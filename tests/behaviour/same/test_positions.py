"""Where a consumer stands: position, seek, pause and resume, watermarks, offsets by time."""

from __future__ import annotations

from ottla.testing.side_by_side import Run

VALUES = [b"%d" % number for number in range(6)]
T0_MS = 1_600_000_000_000


def test_position(run: Run) -> None:
    topic = run.topic(2)
    run.fill(topic, VALUES)
    consumer = run.consumer()
    part, other = run.kafka.TopicPartition(topic, 0), run.kafka.TopicPartition(topic, 1)
    run.call("before an assignment", consumer.position, [part])
    consumer.assign([run.kafka.TopicPartition(topic, 0, 2)])
    run.call("before a message", consumer.position, [part])
    run.messages(consumer, 2)
    run.call("after two", consumer.position, [part])
    run.call("of another", consumer.position, [other, part])
    run.call("of none", consumer.position, [])
    for bad in (None, "x", part, [topic]):
        run.call(f"of {type(bad).__name__}", consumer.position, bad)


def test_seek(run: Run) -> None:
    topic = run.topic(2)
    run.fill(topic, VALUES)
    consumer = run.consumer()
    part = run.kafka.TopicPartition
    run.call("not assigned", consumer.seek, part(topic, 0, 3))
    consumer.assign([part(topic, 0, 0)])
    run.messages(consumer, 2)
    run.call("forward", consumer.seek, part(topic, 0, 4))
    run.call("position", consumer.position, [part(topic, 0)])
    run.messages(consumer, 1)
    run.call("back", consumer.seek, part(topic, 0, 1))
    run.messages(consumer, 1)
    run.call("position", consumer.position, [part(topic, 0)])
    run.call("beginning", consumer.seek, part(topic, 0, run.kafka.OFFSET_BEGINNING))
    run.messages(consumer, 1)
    run.call("end", consumer.seek, part(topic, 0, run.kafka.OFFSET_END))
    run.call("nothing there", consumer.poll, 0.2)
    run.call("another partition", consumer.seek, part(topic, 1, 0))
    for bad in (None, "x", [part(topic, 0, 0)]):
        run.call(f"seek {type(bad).__name__}", consumer.seek, bad)


def test_pause_and_resume(run: Run) -> None:
    topic = run.topic(2)
    run.fill(topic, VALUES[:3])
    run.fill(topic, VALUES[3:], partition=1)
    consumer = run.consumer()
    part = run.kafka.TopicPartition
    run.call("pause unassigned", consumer.pause, [part(topic, 0)])
    run.call("resume unassigned", consumer.resume, [part(topic, 0)])
    consumer.assign([part(topic, 0, 0), part(topic, 1, 0)])
    run.call("pause", consumer.pause, [part(topic, 0)])
    run.messages(consumer, 3)
    run.call("nothing of the paused one", consumer.poll, 0.1)
    run.call("position", consumer.position, [part(topic, 0), part(topic, 1)])
    run.call("pause again", consumer.pause, [part(topic, 0)])
    run.call("resume", consumer.resume, [part(topic, 0)])
    run.messages(consumer, 3)
    run.call("none", consumer.pause, [])
    for bad in (None, "x", [topic]):
        run.call(f"pause {type(bad).__name__}", consumer.pause, bad)
        run.call(f"resume {type(bad).__name__}", consumer.resume, bad)


def test_pause_in_the_middle_loses_and_repeats_nothing(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, VALUES)
    consumer = run.consumer()
    part = run.kafka.TopicPartition(topic, 0)
    consumer.assign([run.kafka.TopicPartition(topic, 0, 0)])
    run.messages(consumer, 2)
    consumer.pause([part])
    run.call("paused", consumer.poll, 0.1)
    run.call("batch", consumer.consume, 3, 0.1)
    consumer.resume([part])
    run.messages(consumer, 4)


def test_seek_while_paused(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, VALUES)
    consumer = run.consumer()
    part = run.kafka.TopicPartition(topic, 0)
    consumer.assign([run.kafka.TopicPartition(topic, 0, 0)])
    run.messages(consumer, 1)
    consumer.pause([part])
    run.call("seek", consumer.seek, run.kafka.TopicPartition(topic, 0, 4))
    run.call("paused", consumer.poll, 0.1)
    consumer.resume([part])
    run.messages(consumer, 2)


def test_watermarks(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, VALUES)
    consumer = run.consumer()
    part = run.kafka.TopicPartition(topic, 0)
    run.call("asked", consumer.get_watermark_offsets, part, timeout=10)
    run.call("positional", consumer.get_watermark_offsets, part, 10, False)
    run.call("cached before", consumer.get_watermark_offsets, part, cached=True)
    consumer.assign([run.kafka.TopicPartition(topic, 0, 0)])
    run.messages(consumer, 6)
    run.call("cached", consumer.get_watermark_offsets, part, cached=True)
    missing = run.kafka.TopicPartition(topic, 9)
    run.call("unknown partition", consumer.get_watermark_offsets, missing, timeout=10)
    run.call("bad", consumer.get_watermark_offsets, "x")
    run.call("list", consumer.get_watermark_offsets, [part])


def test_offsets_for_times(run: Run) -> None:
    topic = run.topic(2)
    for number, value in enumerate(VALUES):
        run.fill(topic, [value], timestamp=T0_MS + 10 * number)
    consumer = run.consumer()
    part = run.kafka.TopicPartition
    for at in (0, T0_MS, T0_MS + 1, T0_MS + 25, T0_MS + 50, T0_MS + 51, -1, -2):
        run.call(f"at {at - T0_MS}", consumer.offsets_for_times, [part(topic, 0, at)], timeout=10)
    both = [part(topic, 0, T0_MS), part(topic, 1, T0_MS)]
    run.call("both", consumer.offsets_for_times, both, timeout=10)
    run.call("unknown", consumer.offsets_for_times, [part(topic, 9, T0_MS)], timeout=10)
    run.call("none", consumer.offsets_for_times, [], timeout=10)
    run.call("bad", consumer.offsets_for_times, "x")
