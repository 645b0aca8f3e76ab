"""How far a call has come, whatever becomes of its requests."""

from __future__ import annotations

from ottla.client.core.admin.call import Progress
from ottla.client.core.admin.topics import list_topics
from ottla.client.errors import KafkaError
from ottla.wire.api.k03_metadata import MetadataResponse


def test_what_comes_after_the_time_was_over_changes_nothing() -> None:
    progress = Progress(next(list_topics(None, may_create=False)), 100, 1000)
    [ask] = progress.plan(0)
    progress.give_up(lambda _: False)
    results = dict(progress.results)
    assert progress.is_done
    # Both can come about in one round of the loop.
    progress.answered(ask, MetadataResponse(brokers=[], topics=[]), 1, 0.5)
    progress.failed(ask, KafkaError(KafkaError._TRANSPORT), 1, 0.5)
    assert progress.is_done
    assert progress.results == results
