"""A change waits for a person: asked once, decided once, by somebody else than its proposer, in time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from meliora.errors import Conflict, Forbidden, InvalidRequest, MelioraError, NotFound
from meliora.loop.approvals import Approval, ApprovalWish, Approvers
from meliora.loop.policy.bundle import own
from meliora.loop.policy.decide import Policies
from meliora.loop.policy.request import Actor, Facts, Request, Target
from meliora.store import Store

HOUR_US = 3_600_000_000


@pytest.fixture(scope="module")
def policies() -> Policies:
    return Policies(own())


@pytest.fixture
def approvers(store: Store, policies: Policies) -> Approvers:
    return Approvers(store.approvals, policies, store.audit)


def asked(store: Store, clock, by: str = "key_bot", change: str = "chg_1") -> Approval:
    wish = ApprovalWish(
        change=change, edge="deliver", asked_by=by, asked_why="A person promotes.", expires_us=clock.now + HOUR_US
    )
    return store.approvals.request("default", wish)


def as_(key: str, kind: str = "person", tenant: str = "default", scopes: tuple[str, ...] = ("admin",)) -> Request:
    return Request(
        actor=Actor(kind=kind, key=key, scopes=scopes, tenant=tenant),
        action="approve",
        target=Target(id="routing", kind="routing", tenant="default"),
        facts=Facts(environment="staging"),
    )


def actions(store: Store) -> list[str]:
    return [entry.action for entry in store.audit.of("default", "chg_1")]


def test_a_person_approves_and_it_stands_with_who_when_and_why(store, clock, approvers) -> None:
    one = asked(store, clock)
    assert one.standing(clock.now) == "asked" and store.approvals.list("default", "asked") == (one,)
    done = approvers.decide(one.id, "approved", "Looks right to me.", as_("key_ann"))
    assert (done.state, done.decided_by, done.decided_why) == ("approved", "key_ann", "Looks right to me.")
    assert done.decided_us is not None and done.decided_us > one.asked_us
    assert store.approvals.latest("default", "chg_1", "deliver") == done
    entries = store.audit.of("default", "chg_1")
    assert [entry.action for entry in entries] == ["approval.asked", "approval.approved"]
    assert entries[1].actor == "key_ann" and entries[1].body["outcome"]["allowed"]
    assert "Looks" not in str(entries) and entries[1].body["why"] == store.audit.digest("Looks right to me.")
    assert store.audit.verify().whole


def test_asking_again_while_one_is_open_is_the_same_request(store, clock) -> None:
    one = asked(store, clock)
    assert asked(store, clock) == one
    clock.now += HOUR_US + 1
    assert asked(store, clock).id != one.id
    assert [found.standing(clock.now) for found in store.approvals.list("default")] == ["asked", "expired"]
    assert [found.id for found in store.approvals.list("default", "expired")] == [one.id]
    with pytest.raises(InvalidRequest, match="time left"):
        store.approvals.request(
            "default",
            ApprovalWish(change="c", edge="deliver", asked_by="x", asked_why="", expires_us=clock.now - 1),
        )


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (as_("key_bot"), "who proposes does not approve"),
        (as_("key_bot", kind="agent"), "who proposes does not approve"),
        (as_("key_other", kind="agent"), "only a person approves"),
        (as_("key_ann", scopes=("read",)), "no policy permits"),
        (as_("key_ann", tenant="acme"), "another tenant"),
    ],
)
def test_who_may_not_is_refused_and_the_audit_hears_of_it(store, clock, approvers, request_, sentence) -> None:
    one = asked(store, clock)
    with pytest.raises(Forbidden, match=sentence):
        approvers.decide(one.id, "approved", "", request_)
    assert store.approvals.get("default", one.id).state == "asked"
    entry = store.audit.of("default", "chg_1")[-1]
    assert (entry.action, entry.actor, entry.body["code"]) == ("approval.refused", request_.actor.key, "forbidden")


def test_the_proposer_does_not_approve_whatever_the_policies_say(store, clock) -> None:
    from meliora.loop.policy.bundle import Bundle, PolicyFile

    everything = PolicyFile("all.cedar", '@id("all") permit(principal, action, resource);', False)
    lax = Policies(Bundle(schema=own().schema, files=(everything,), replaced=True))
    assert lax.problems == ()
    one = asked(store, clock)
    with pytest.raises(Forbidden, match="who proposes"):
        Approvers(store.approvals, lax, store.audit).decide(one.id, "approved", "", as_("key_bot"))


def test_the_store_itself_refuses_the_proposer(store, clock) -> None:
    one = asked(store, clock)
    with pytest.raises(Forbidden, match="who proposes"):
        store.approvals.decide("default", one.id, "approved", "key_bot", "")
    assert store.approvals.get("default", one.id).state == "asked"


def test_a_proposer_may_take_a_proposal_back(store, clock, approvers) -> None:
    one = asked(store, clock, by="key_ann")
    assert approvers.decide(one.id, "rejected", "I was wrong.", as_("key_ann")).state == "rejected"


def test_one_that_has_expired_is_too_late(store, clock, approvers) -> None:
    one = asked(store, clock)
    clock.now = one.expires_us
    with pytest.raises(Conflict, match="expired"):
        approvers.decide(one.id, "approved", "", as_("key_ann"))
    assert actions(store) == ["approval.asked", "approval.refused"]


def test_the_second_hears_who_was_first(store, clock, approvers) -> None:
    one = asked(store, clock)
    approvers.decide(one.id, "rejected", "Too risky.", as_("key_ann"))
    for verdict in ("approved", "rejected"):
        with pytest.raises(Conflict, match="key_ann has rejected chg_1 already"):
            approvers.decide(one.id, verdict, "", as_("key_bob"))
    assert actions(store) == ["approval.asked", "approval.rejected", "approval.refused", "approval.refused"]


def test_two_people_at_once_make_one_decision(store, clock, approvers) -> None:
    for number in range(8):
        one = asked(store, clock, change=f"chg_{number}")

        def decide(who: str, one: Approval = one) -> str:
            try:
                return approvers.decide(one.id, "approved" if who == "key_ann" else "rejected", "", as_(who)).state
            except MelioraError as error:
                return error.code

        with ThreadPoolExecutor(2) as pool:
            both = sorted(pool.map(decide, ("key_ann", "key_bob")))
        assert "conflict" in both and len(set(both) & {"approved", "rejected"}) == 1
        assert store.approvals.get("default", one.id).state in both
    assert store.audit.verify().whole


def test_many_who_ask_at_once_make_one_request(store, clock) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = {one.id for one in pool.map(lambda _: asked(store, clock), range(8))}
    assert len(found) == 1


def test_what_there_is_not_is_not_found(store, approvers) -> None:
    with pytest.raises(NotFound):
        approvers.decide("apr_none", "approved", "", as_("key_ann"))
    with pytest.raises(NotFound):
        store.approvals.get("default", "apr_none")
    assert store.approvals.latest("default", "chg_1", "deliver") is None
