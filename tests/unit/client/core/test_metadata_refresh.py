"""When metadata is asked for: at once when it is needed, seldom otherwise, never in a hurry."""

from __future__ import annotations

from ottla.client.core.metadata_refresh import MetadataRefresh, Query, RefreshSettings

MIDDLE = 0.5
NOTHING: frozenset[str] = frozenset()


def names(*topics: str) -> frozenset[str]:
    return frozenset(topics)


def settled(*topics: str, now_ms: float = 0.0, **settings: int | None) -> MetadataRefresh:
    """A refresh that has just been answered."""
    refresh = MetadataRefresh(RefreshSettings()._replace(**settings))  # type: ignore[arg-type]
    for topic in topics:
        refresh.want(topic)
    assert refresh.plan(now_ms) == Query(names(*topics))
    refresh.answered(now_ms, MIDDLE, found=names(*topics))
    return refresh


def test_a_new_client_asks_at_once_and_only_once() -> None:
    refresh = MetadataRefresh(RefreshSettings())
    assert refresh.next_deadline_ms() == 0
    assert refresh.plan(0) == Query(NOTHING)
    assert refresh.plan(0) is None
    assert refresh.next_deadline_ms() is None


def test_a_new_topic_is_asked_about_alone() -> None:
    refresh = settled("a")
    refresh.want("b")
    refresh.want("a")
    assert refresh.plan(10) == Query(names("b"))
    refresh.answered(20, MIDDLE, found=names("b"))
    assert refresh.plan(20) is None


def test_what_is_fresh_is_refreshed_by_the_clock() -> None:
    refresh = settled("a")
    assert refresh.next_deadline_ms() == 300_000
    assert refresh.plan(299_999) is None
    assert refresh.plan(300_000) == Query(names("a"))
    assert settled("a", refresh_interval_ms=-1).next_deadline_ms() is None


def test_a_stale_view_is_refreshed_whole() -> None:
    refresh = settled("a", "b")
    refresh.request()
    assert refresh.plan(5) == Query(names("a", "b"))


def test_what_comes_up_during_a_question_is_asked_after_it() -> None:
    refresh = settled("a")
    refresh.request()
    refresh.plan(5)
    refresh.want("b")
    refresh.request()
    assert refresh.plan(6) is None
    refresh.answered(7, MIDDLE, found=names("a"))
    assert refresh.plan(7) == Query(names("a", "b"))


def test_a_pattern_needs_all_topics() -> None:
    refresh = settled("a")
    refresh.want_all(True)
    assert refresh.plan(1) == Query(None)
    refresh.answered(1, MIDDLE, found=names("a", "z"))
    refresh.want("b")
    assert refresh.plan(2) == Query(None)
    refresh.answered(2, MIDDLE, found=names("a", "b"))
    refresh.want_all(False)
    refresh.request()
    assert refresh.plan(3) == Query(names("a", "b"))


def test_failures_are_repeated_ever_more_slowly() -> None:
    refresh = MetadataRefresh(RefreshSettings())
    now_ms, waits = 0.0, []
    for _ in range(6):
        assert refresh.plan(now_ms) is not None
        refresh.failed(now_ms, MIDDLE)
        deadline_ms = refresh.next_deadline_ms()
        assert deadline_ms is not None
        assert refresh.plan(deadline_ms - 1) is None
        waits.append(deadline_ms - now_ms)
        now_ms = deadline_ms
    assert waits == [100, 200, 400, 800, 1000, 1000]
    refresh.plan(now_ms)
    refresh.answered(now_ms, MIDDLE, found=NOTHING)
    refresh.request()
    assert refresh.next_deadline_ms() == 0


def test_a_missing_topic_is_asked_for_until_it_is_given_up() -> None:
    refresh = settled(propagation_max_ms=1000)
    refresh.want("new")
    now_ms, asked = 0.0, 0
    while (deadline_ms := refresh.next_deadline_ms()) is not None and deadline_ms < 100_000:
        now_ms = max(now_ms, deadline_ms)
        assert refresh.plan(now_ms) == Query(names("new"))
        refresh.answered(now_ms, MIDDLE, found=NOTHING)
        asked += 1
    assert 3 < asked < 10
    assert refresh.is_given_up("new", now_ms)
    assert 1000 <= now_ms < 3000
    # It may still come later.
    assert refresh.plan(400_000) == Query(names("new"))
    refresh.answered(400_000, MIDDLE, found=names("new"))
    assert not refresh.is_given_up("new", 400_000)


def test_a_topic_nobody_wants_is_not_asked_for() -> None:
    refresh = settled("a", "b")
    refresh.want("c")
    refresh.release("c")
    refresh.release("b")
    assert refresh.plan(10) is None
    refresh.request()
    assert refresh.plan(10) == Query(names("a"))


def test_a_partition_without_a_leader_is_asked_about_again_soon() -> None:
    refresh = settled("a")
    refresh.request()
    refresh.plan(10)
    refresh.answered(10, MIDDLE, found=names("a"), unsettled=True)
    assert refresh.next_deadline_ms() == 110
    assert refresh.plan(110) == Query(names("a"))


def test_rebootstrap_when_no_broker_is_left_or_a_broker_says_so_or_it_has_failed_too_long() -> None:
    refresh = settled("a", rebootstrap_trigger_ms=5000)
    assert not refresh.should_rebootstrap(0, can_ask_any=True)
    assert refresh.should_rebootstrap(0, can_ask_any=False)
    assert refresh.should_rebootstrap(0, can_ask_any=True, is_told=True)
    refresh.failed(1000, MIDDLE)
    refresh.failed(2000, MIDDLE)
    assert not refresh.should_rebootstrap(5999, can_ask_any=True)
    assert refresh.should_rebootstrap(6000, can_ask_any=True)
    refresh.rebootstrapped()
    assert not refresh.should_rebootstrap(6000, can_ask_any=True)
    assert refresh.plan(6000) == Query(names("a"))


def test_rebootstrap_can_be_turned_off() -> None:
    refresh = settled("a", rebootstrap_trigger_ms=None)
    refresh.failed(0, MIDDLE)
    assert not refresh.should_rebootstrap(10**9, can_ask_any=False, is_told=True)
