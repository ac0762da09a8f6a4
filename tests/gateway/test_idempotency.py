"""A repeated request gets the first one's answer; it is never made twice at the same time."""

import asyncio

import pytest

from meliora.errors import Conflict, InvalidRequest
from meliora.gateway.cache import StoredAnswer
from meliora.gateway.idempotency import MAX_KEY, Claim, Idempotency

NAME = ("key", "abc")
ANSWER = StoredAnswer(200, (), b"{}")


async def claim(keeper: Idempotency, name=NAME, body: bytes = b"h", now: float = 0.0) -> Claim:
    got = await keeper.begin(name, body, now)
    assert isinstance(got, Claim)
    return got


async def test_the_answer_is_given_again_until_its_time_is_up():
    keeper = Idempotency(ttl=10)
    (await claim(keeper)).finish(ANSWER, 0.0)
    assert await keeper.begin(NAME, b"h", 9.0) is ANSWER
    assert isinstance(await keeper.begin(NAME, b"h", 10.0), Claim)


async def test_another_body_under_the_same_key_is_a_conflict_while_running_and_after():
    keeper = Idempotency(ttl=10)
    first = await claim(keeper)
    with pytest.raises(Conflict):
        await keeper.begin(NAME, b"other", 0.0)
    first.finish(ANSWER, 0.0)
    with pytest.raises(Conflict):
        await keeper.begin(NAME, b"other", 0.0)


async def test_keys_of_different_owners_do_not_meet():
    keeper = Idempotency(ttl=10)
    (await claim(keeper)).finish(ANSWER, 0.0)
    await claim(keeper, ("someone else", "abc"), b"other")


async def test_those_who_come_while_it_runs_get_its_answer():
    keeper = Idempotency(ttl=10)
    first = await claim(keeper)
    others = [asyncio.create_task(keeper.begin(NAME, b"h", 0.0)) for _ in range(5)]
    await asyncio.sleep(0)
    others[0].cancel()
    await asyncio.sleep(0)
    first.finish(ANSWER, 0.0)
    assert [await other for other in others[1:]] == [ANSWER] * 4


async def test_who_waits_longer_than_is_configured_is_told_to_come_again_and_leaves_nothing_behind():
    """However often the first one fails and another takes over."""
    keeper = Idempotency(ttl=10, wait=0.05)
    first = await claim(keeper)
    waiting = asyncio.create_task(keeper.begin(NAME, b"h", 0.0))
    with pytest.raises(Conflict) as caught:
        await waiting
    assert caught.value.retry_after
    first.finish(ANSWER, 0.0)
    assert await keeper.begin(NAME, b"h", 0.0) is ANSWER


async def test_when_it_fails_one_of_those_who_wait_takes_over():
    keeper = Idempotency(ttl=10)
    first = await claim(keeper)
    others = [asyncio.create_task(keeper.begin(NAME, b"h", 0.0)) for _ in range(3)]
    await asyncio.sleep(0)
    first.fail()
    done, waiting = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
    second = done.pop().result()
    assert isinstance(second, Claim)
    second.finish(ANSWER, 0.0)
    assert [await other for other in waiting] == [ANSWER] * 2


async def test_fail_after_finish_does_nothing():
    keeper = Idempotency(ttl=10)
    first = await claim(keeper)
    first.finish(ANSWER, 0.0)
    first.fail()
    assert await keeper.begin(NAME, b"h", 1.0) is ANSWER


async def test_memory_is_bounded_and_the_oldest_answers_leave_first():
    keeper = Idempotency(ttl=10, max_bytes=10_000)
    running = await claim(keeper, ("key", "running"))
    for number in range(100):
        (await claim(keeper, ("key", str(number)))).finish(StoredAnswer(200, (), b"x" * 1000), 0.0)
    assert len(keeper) <= 10
    assert isinstance(await keeper.begin(("key", "0"), b"h", 0.0), Claim)
    assert isinstance(await keeper.begin(("key", "99"), b"h", 0.0), StoredAnswer)
    running.finish(ANSWER, 0.0)


async def test_a_key_that_is_too_long_is_refused():
    with pytest.raises(InvalidRequest):
        await Idempotency(ttl=1).begin(("key", "x" * (MAX_KEY + 1)), b"h", 0.0)
