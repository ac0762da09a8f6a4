"""The response cache: equal requests of one tenant, within bytes and time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.gateway.cache import Directives, ResponseCache, StoredAnswer, directives, key
from meliora.settings import models

BODY = {"model": "asked", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}


def answer(size: int = 10, status: int = 200) -> StoredAnswer:
    return StoredAnswer(status, ((b"content-type", b"application/json"),), b"x" * size)


def cache(**more) -> ResponseCache:
    return ResponseCache(models.Cache(enabled=True, ttl=100, ttl_code=10, **more))


def test_the_order_of_fields_and_who_asks_do_not_matter():
    other = {"user": "u", "metadata": {"a": 1}, "stream_options": {"include_usage": True}} | dict(
        reversed(BODY.items())
    )
    assert key("t", "chat", "m", BODY) == key("t", "chat", "m", other)


@pytest.mark.parametrize(
    "other",
    [
        ("t2", "chat", "m", BODY),
        ("t", "messages", "m", BODY),
        ("t", "chat", "m2", BODY),
        ("t", "chat", "m", BODY | {"stream": True}),
        ("t", "chat", "m", BODY | {"temperature": 1}),
    ],
)
def test_what_may_change_the_answer_changes_the_key(other):
    assert key("t", "chat", "m", BODY) != key(*other)


def test_no_stream_and_a_stream_set_to_false_are_the_same():
    assert key("t", "chat", "m", BODY) == key("t", "chat", "m", BODY | {"stream": False})


def test_an_answer_lives_for_its_tiers_time():
    kept = cache()
    assert kept.put(b"a", "t", answer(), 0.0)
    assert kept.put(b"b", "t", answer(), 0.0, tier="code")
    assert kept.get(b"a", 50.0) == answer()
    assert kept.get(b"b", 50.0) is None
    assert kept.get(b"a", 100.0) is None
    assert kept.stats().entries == 0


def test_the_requests_directives_are_honoured():
    kept = cache()
    kept.put(b"a", "t", answer(), 0.0)
    assert kept.get(b"a", 5.0, Directives(no_cache=True)) is None
    assert kept.get(b"a", 5.0, directives(b"max-age=4")) is None
    assert kept.get(b"a", 5.0, directives(b"max-age=5")) is not None


def test_cache_control_is_read_as_clients_write_it():
    assert directives(None) == directives(b"") == Directives()
    assert directives(b"No-Cache, no-store") == Directives(no_cache=True, no_store=True)
    assert directives(b'max-age="7", private') == Directives(max_age=7.0)
    assert directives("max-age=²".encode("latin-1")) == Directives(max_age=0.0)


def test_errors_and_large_answers_are_not_kept():
    kept = cache(max_entry_bytes=100)
    assert not kept.put(b"a", "t", answer(status=500), 0.0)
    assert not kept.put(b"a", "t", answer(101), 0.0)


def test_the_least_recently_used_go_first():
    kept = cache(max_bytes=3000)
    for name in (b"a", b"b", b"c"):
        kept.put(name, "t", answer(300), 0.0)
    kept.get(b"a", 1.0)
    kept.put(b"d", "t", answer(300), 1.0)
    assert [name for name in (b"a", b"b", b"c", b"d") if kept.get(name, 1.0)] == [b"a", b"c", b"d"]
    assert kept.stats().evicted == 1


def test_clearing_is_by_tenant_or_of_all():
    kept = cache()
    kept.put(b"a", "t1", answer(), 0.0)
    kept.put(b"b", "t2", answer(), 0.0)
    assert kept.clear("t1") == 1
    assert kept.get(b"b", 0.0)
    assert kept.clear() == 1
    assert kept.stats().bytes == 0


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 900))))
def test_memory_stays_within_its_bound(steps):
    kept = cache(max_bytes=4000)
    for name, size in steps:
        kept.put(bytes([name]), "t", answer(size), 0.0)
        assert 0 <= kept.stats().bytes <= 4000
    kept.clear()
    assert kept.stats().bytes == 0
