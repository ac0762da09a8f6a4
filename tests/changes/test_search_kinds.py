"""Changes of how searches are answered: made of what is known, proved on queries that nothing was learned from, switched by a pointer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from itertools import count
from typing import Any

import msgspec
import pytest

from meliora.changes.fusion_weights.kind import FusionWeights
from meliora.changes.query_repair.crossed import METHODS, PARTS, Methods, Parting, Tried
from meliora.changes.query_repair.kind import Learning, QueryRepair
from meliora.changes.reranker.kind import Lesson, Reranker, Trained
from meliora.errors import Conflict, InvalidRequest, NotFound
from meliora.knowledge.config import Expansion, Fusion, Reranking, SearchConfig, Spelling
from meliora.knowledge.quality.evidence import Pair, fingerprint
from meliora.knowledge.ranking.model import FORMAT, Boosting, Head, Training
from meliora.knowledge.repair.expansion import Table
from meliora.loop.change import Origin
from meliora.loop.kind import Proof, Proposal
from meliora.loop.work import Work
from meliora.store.engine import writing
from meliora.store.knowledge.learned import forget_learned
from meliora.testing.contract import Killed, Run, check_kind
from tests.changes.house import Deployment, Deployments
from tests.changes.searches import (
    COLLECTION,
    DAY_US,
    Known,
    bench,
    furnish,
    kept,
    known,
    other,
    placed,
    plane,
    query,
    serve_other,
)

REPAIR = {"recommended": [{"kind": "query_repair", "method": "expansion", "tokens": ["new"]}], "collection": COLLECTION}


def by_repair(config: SearchConfig, generation: str, text: str) -> Sequence[str]:
    """A repair brings what the new word means; all else is as it was."""
    return placed(text, 1 if " new " not in text or config.expansion or config.spelling else 5)


def by_model(config: SearchConfig, generation: str, text: str) -> Sequence[str]:
    return placed(text, 1 if config.reranking else 4)


def by_weights(config: SearchConfig, generation: str, text: str) -> Sequence[str]:
    return placed(text, 1 if (config.fusion.grams, config.fusion.dense) == (1.0, 0.25) else 3)


def learn(pairs: Sequence[Pair]) -> bytes | None:
    return b"table"


def train(tenant: str, lesson: Lesson) -> Trained:
    return Trained(model=model(one.text for one in lesson.fitted), notes={"examples": 5, "sha": "abc", "names": [1]})


def model(learned: Iterable[str]) -> bytes:
    """Give a reranker's file that says what it learned from, and has no trees."""
    boosting = Boosting()
    training = Training(
        queries=1, skipped=0, rows=1, relevant=1, seed=1, boosting=boosting, learned=tuple(map(fingerprint, learned))
    )
    head = Head(
        format=FORMAT,
        schema="s",
        features=(),
        analysis="a",
        blend=0.5,
        training=training,
        figures={},
        sizes=(),
        trees="",
    )
    return msgspec.json.encode(head) + b"\n"


def repairing(here: Deployment, evidence: Known, learned: Learning = learn) -> QueryRepair:
    return QueryRepair(plane(here, evidence), lambda *args, **named: learned)


MAKERS: dict[str, tuple[Callable[[Deployment, Known], Any], Any, dict[str, Any] | None]] = {
    "query_repair": (repairing, by_repair, REPAIR),
    "reranker": (lambda here, evidence: Reranker(plane(here, evidence), train), by_model, None),
    "fusion_weights": (lambda here, evidence: FusionWeights(plane(here, evidence)), by_weights, None),
}


def made(here: Deployment, name: str) -> Any:
    build, ranks, finding = MAKERS[name]
    furnish(here)
    evidence = known(here, ranks)
    return bench(here, lambda: build(here, evidence), evidence, finding)


def numbers(here: Deployment) -> list[int]:
    return [one.number for one in here.store.knowledge_snapshots.list("default", COLLECTION)]


@pytest.mark.parametrize("name", MAKERS)
def test_a_kind_of_searches_keeps_the_contract(deployments: Deployments, name: str) -> None:
    check_kind(lambda: made(deployments(furnish), name))


@pytest.mark.parametrize("name", MAKERS)
def test_killed_anywhere_while_it_is_made_one_candidate_is_kept(deployments: Deployments, name: str) -> None:
    whole = Run(lambda: made(deployments(furnish), name))
    whole.bench.faults.spare()
    whole.propose()
    calls = whole.bench.faults.calls
    for at in {1, 2, calls // 2, *range(max(1, calls - 4), calls + 1)}:
        for after in (False, True):
            here = deployments(furnish)
            run = Run(lambda here=here: made(here, name))
            checkpoint: dict[str, Any] = {}
            for killing in (True, False):
                if killing:
                    run.bench.faults.kill(at, after=after)
                else:
                    run.bench.faults.spare()
                work = told(run, checkpoint)
                try:
                    found = proposal(run, work)
                except Killed:
                    continue
                assert found.candidate == "search-1"
            assert numbers(here) == [1]


def proposal(run: Run, work: Work) -> Proposal:
    found = run.bench.build().propose(run.change, work)
    assert isinstance(found, Proposal)
    return found


def told(run: Run, checkpoint: dict[str, Any]) -> Work:
    """Give work that keeps its checkpoints."""
    fence = run.fence()

    def tell(share: float | None, sentence: str, said: dict[str, Any] | None) -> None:
        if said is not None:
            checkpoint.clear()
            checkpoint.update(msgspec.json.decode(msgspec.json.encode(said)))

    return Work(
        fence=fence,
        key="k",
        seed=3,
        now_us=run.bench.now_us,
        tell=tell,
        checkpoint=dict(checkpoint),
        finding=run.bench.finding,
    )


def test_what_was_made_before_a_kill_is_taken_again_though_more_is_known_since(here: Deployment) -> None:
    furnish(here)
    evidence = known(here, by_repair)
    tables = count()

    def learned(pairs: Sequence[Pair]) -> bytes:
        return str(next(tables)).encode()

    run = Run(lambda: bench(here, lambda: repairing(here, evidence, learned), evidence, REPAIR))
    checkpoint: dict[str, Any] = {}
    first = proposal(run, told(run, checkpoint))
    evidence.uses += [query(number, at_us=run.change.updated_us - 5) for number in range(200, 240)]
    again = proposal(run, told(run, checkpoint))
    assert (again.candidate, again.payload) == (first.candidate, first.payload)
    assert numbers(here) == [1]


def test_a_checkpoint_made_in_place_of_what_serves_no_longer_is_not_taken(here: Deployment) -> None:
    furnish(here)
    evidence = known(here, by_repair)
    run = Run(lambda: bench(here, lambda: repairing(here, evidence), evidence, REPAIR))
    checkpoint: dict[str, Any] = {}
    proposal(run, told(run, checkpoint))
    serve_other(here)
    again = proposal(run, told(run, checkpoint))
    kept = here.store.knowledge_snapshots.get("default", COLLECTION, int(again.candidate.split("-")[1]))
    assert (again.baseline, kept.config.fusion.words) == ("search-2", 0.125)


def test_what_serves_already_is_no_candidate(here: Deployment) -> None:
    furnish(here)
    evidence = known(here, by_weights)
    config = SearchConfig(fusion=Fusion(words=1.0, grams=1.0, dense=0.25))
    shelf = here.store.knowledge_snapshots
    shelf.exchange("default", COLLECTION, shelf.add("default", COLLECTION, config, "dana").number, instead_of=0)
    change = here.change("fusion_weights")
    assert FusionWeights(plane(here, evidence)).propose(change, here.work(change)) is None
    same = here.change("fusion_weights", payload={"snapshot": 1})
    assert FusionWeights(plane(here, evidence)).propose(same, here.work(same)) is None


def test_a_named_snapshot_is_the_candidate_and_a_forced_one_stands_on_a_persons_word(here: Deployment) -> None:
    furnish(here)
    number = other(here)
    kind = FusionWeights(plane(here, known(here, by_weights)))
    payload = {"snapshot": number, "forced": True}
    asked = here.change("fusion_weights", payload=payload, origin=Origin("person", "dana"))
    change = here.proposed(kind, asked)
    found = kind.prove(change, here.work(change))
    assert isinstance(found, Proof)
    assert (change.candidate, found.verdict, kind.trial(change)) == (f"search-{number}", "passed", None)
    assert found.sentence.startswith("it stands on a person's word: not shown to be better")
    agent = here.proposed(kind, here.change("fusion_weights", payload=payload, origin=Origin("agent", "x")))
    assert kind.trial(agent) is not None
    again = kind.prove(agent, here.work(agent))
    assert isinstance(again, Proof) and again.verdict == "failed"


@pytest.mark.parametrize("said", ["two", True, -1, 1.5])
def test_what_is_no_number_of_a_snapshot_is_refused_by_name(here: Deployment, said: object) -> None:
    furnish(here)
    kind = FusionWeights(plane(here, known(here, by_weights)))
    change = here.change("fusion_weights", payload={"snapshot": said})
    with pytest.raises(InvalidRequest, match="no number of a snapshot"):
        kind.propose(change, here.work(change))


def test_a_finding_that_recommends_another_kind_gets_nothing(here: Deployment) -> None:
    furnish(here)
    finding = {"recommended": [{"kind": "reindex"}]}
    for build, ranks, _ in MAKERS.values():
        change = here.change("any")
        assert build(here, known(here, ranks)).propose(change, here.work(change, finding=finding)) is None


def test_a_collection_that_was_dropped_meanwhile_is_not_delivered_to(here: Deployment) -> None:
    furnish(here)
    kind = repairing(here, known(here, by_repair))
    change = here.proposed(kind, here.change("query_repair"), REPAIR)
    here.store.knowledge_documents.drop("default", COLLECTION)
    for step in (kind.prove, kind.rehearse, kind.deliver):
        with pytest.raises(NotFound, match=COLLECTION):
            step(change, here.work(change))
    assert kind.undo(change, here.work(change)) == "search-0"


def test_what_somebody_else_put_in_service_is_not_overwritten(here: Deployment) -> None:
    furnish(here)
    kind = repairing(here, known(here, by_repair))
    change = here.proposed(kind, here.change("query_repair"), REPAIR)
    serve_other(here)
    for step in (kind.rehearse, kind.deliver, kind.undo):
        with pytest.raises(Conflict, match="answers by now"):
            step(change, here.work(change))


def test_an_index_that_is_built_again_meanwhile_stays_and_stands_in_no_ones_way(here: Deployment) -> None:
    furnish(here)
    kind = repairing(here, known(here, by_repair))
    change = here.proposed(kind, here.change("query_repair"), REPAIR)
    shelf = here.store.knowledge_documents
    assert shelf.exchange_generation("default", COLLECTION, "2-mended", instead_of="1")
    kind.rehearse(change, here.work(change))
    assert kind.deliver(change, here.work(change)) == change.candidate
    assert kind.undo(change, here.work(change)) == change.baseline
    assert shelf.generation("default", COLLECTION) == "2-mended"


def test_a_repair_that_harms_other_queries_fails(here: Deployment) -> None:
    def harming(config: SearchConfig, generation: str, text: str) -> Sequence[str]:
        repaired = config.expansion or config.spelling
        return placed(text, (1 if repaired else 5) if " new " in text else (2 if repaired else 1))

    furnish(here)
    kind = repairing(here, known(here, harming))
    change = here.proposed(kind, here.change("query_repair"), REPAIR)
    found = kind.prove(change, here.work(change))
    assert isinstance(found, Proof)
    assert (found.verdict, "others lose" in found.sentence) == ("failed", True)


def test_no_query_proves_a_repair_that_was_learned_from_it(here: Deployment) -> None:
    """Tables here know by heart what they saw: they answer it well, and nothing else."""
    furnish(here)
    seen: dict[str, set[str]] = {}

    def learned(pairs: Sequence[Pair]) -> bytes:
        table = f"table of {len(seen)}".encode()
        seen[sha256(table).hexdigest()] = {pair.query for pair in pairs}
        return table

    def by_heart(config: SearchConfig, generation: str, text: str) -> Sequence[str]:
        knows = config.expansion is not None and text in seen[config.expansion.table]
        return placed(text, 1 if " new " not in text or knows else 5)

    evidence = known(here, by_heart)
    change = here.change("query_repair")
    assert repairing(here, evidence, learned).propose(change, here.work(change, finding=REPAIR)) is None
    whole = {one.text for one in evidence.uses if " new " in one.text}
    assert len(seen) == PARTS and all(0 < len(whole - own) < len(whole) / 2 for own in seen.values())
    assert set.union(*(whole - own for own in seen.values())) == whole


def test_all_that_went_unanswered_proves_and_all_of_it_is_learned_from(here: Deployment) -> None:
    furnish(here)
    evidence = known(here, by_repair)
    lessons: list[int] = []

    def learned(pairs: Sequence[Pair]) -> bytes:
        lessons.append(len(pairs))
        return b"table"

    kind = repairing(here, evidence, learned)
    change = here.proposed(kind, here.change("query_repair"), REPAIR)
    assert (len(lessons), lessons[-1]) == (PARTS + 1, 120)
    found = kind.prove(change, here.work(change, finding=REPAIR))
    assert isinstance(found, Proof)
    assert found.verdict == "passed" and f"cross-validated in {PARTS} parts" in found.method
    assert found.data["unanswered"] == 120 == next(one.n for one in found.figures if one.name == "wanted_gain")


def test_what_people_put_a_query_into_is_in_its_part() -> None:
    pairs = [Pair(query=f"new  {one}", document="d", weight=1, again=f"Old {one // 4}") for one in range(400)]
    part = Parting(pairs, "chg_1")
    parts = {one: part(f"NEW {one}") for one in range(400)}
    assert all(parts[one] == part(f"old {one // 4}") for one in parts)
    assert set(parts.values()) == set(range(PARTS))
    assert part("never asked") == Parting([], "chg_1")("never  ASKED")


SPELLING: Methods = ("spelling",)
EXPANSION: Methods = ("expansion",)


def tried(gains: dict[Methods, list[float]]) -> Tried:
    """Give repairs by what they gain."""
    count = len(next(iter(gains.values())))
    return Tried([0.5] * count, {how: [0.5 + one for one in own] for how, own in gains.items()})


def test_the_repair_that_gains_most_is_chosen_and_a_second_must_be_worth_it() -> None:
    assert tried({SPELLING: [0.1] * 4, EXPANSION: [0.1] * 4, METHODS: [0.104] * 4}).chosen() == (
        pytest.approx(0.1),
        SPELLING,
    )
    assert tried({SPELLING: [0.1] * 4, EXPANSION: [0.2] * 4, METHODS: [0.21] * 4}).chosen() == (
        pytest.approx(0.21),
        METHODS,
    )
    assert tried({SPELLING: [0.004] * 4}).chosen() == (0.0, ())
    assert tried({SPELLING: []}).chosen() == (0.0, ())


def test_that_it_was_chosen_among_several_is_allowed_for() -> None:
    gains = [0.4, 0.3, -0.3, 0.2] * 6
    other = gains[::-1]
    alone = tried({SPELLING: gains}).proved(SPELLING, 1)
    same = tried({SPELLING: gains, EXPANSION: gains}).proved(SPELLING, 1)
    best = tried({SPELLING: gains, EXPANSION: [0.9 * one for one in other]}).proved(SPELLING, 1)
    assert alone.p_gain == same.p_gain
    assert (alone.p_gain or 1.0) < (best.p_gain or 0.0)
    assert alone.result == best.result


def test_a_repair_that_cannot_be_made_any_more_is_not_proved() -> None:
    assert tried({SPELLING: [0.4] * 20}).proved(EXPANSION, 1).p_gain == 1.0


def test_a_repair_that_somebody_named_is_proved_as_it_is_by_what_came_after_it_was_learned(here: Deployment) -> None:
    furnish(here)
    evidence = known(here, by_repair)
    now = here.clock.now_us()
    shelf = here.store.knowledge_snapshots
    table = Table(words={"new": {"old": 1.0}}, until_us=now - DAY_US + 40).encode()
    config = SearchConfig(expansion=Expansion(table=shelf.keep("default", "expansion", table)))
    number = shelf.add("default", COLLECTION, config, "dana").number
    kind = repairing(here, evidence)
    change = here.proposed(
        kind, here.change("query_repair", payload={"snapshot": number}, origin=Origin("person", "dana"))
    )
    found = kind.prove(change, here.work(change))
    assert isinstance(found, Proof)
    assert (found.verdict, found.data["unanswered"], found.method[:16]) == ("passed", 80, "the same queries")


def test_a_repair_that_gains_nothing_on_what_it_learns_from_is_not_proposed(here: Deployment) -> None:
    furnish(here)
    evidence = known(here, lambda config, generation, text: placed(text, 2))
    change = here.change("query_repair")
    assert repairing(here, evidence).propose(change, here.work(change, finding=REPAIR)) is None


def test_a_speller_that_is_there_is_kept_when_an_expansion_comes(here: Deployment) -> None:
    def ranks(config: SearchConfig, generation: str, text: str) -> Sequence[str]:
        return placed(text, 1 if " new " not in text or config.expansion else 5)

    furnish(here)
    shelf = here.store.knowledge_snapshots
    first = shelf.add("default", COLLECTION, SearchConfig(spelling=Spelling()), "dana").number
    shelf.exchange("default", COLLECTION, first, instead_of=0)
    kind = repairing(here, known(here, ranks))
    change = here.proposed(kind, here.change("query_repair"), REPAIR)
    config = shelf.get("default", COLLECTION, change.payload["snapshot"]).config
    assert config.spelling is not None and config.expansion is not None


def with_model(here: Deployment, body: bytes) -> int:
    """Keep a snapshot with a model that somebody trained elsewhere; give its number."""
    shelf = here.store.knowledge_snapshots
    config = SearchConfig(reranking=Reranking(model=shelf.keep("default", "reranker", body)))
    return shelf.add("default", COLLECTION, config, "dana").number


def proved_by(here: Deployment, evidence: Known, body: bytes) -> Proof:
    furnish(here)
    kind = Reranker(plane(here, evidence), train)
    asked = here.change("reranker", payload={"snapshot": with_model(here, body)}, origin=Origin("person", "dana"))
    change = here.proposed(kind, asked)
    found = kind.prove(change, here.work(change))
    assert isinstance(found, Proof)
    return found


def test_a_model_from_elsewhere_is_proved_by_all_queries_that_it_did_not_learn_from(here: Deployment) -> None:
    evidence = known(here, by_model)
    known_queries = [*evidence.judgments, *evidence.uses]
    learned = [one.text for one in evidence.judgments[:20]]
    found = proved_by(here, evidence, model(text.upper() for text in learned))
    assert (found.verdict, found.data["queries"]) == ("passed", len(known_queries) - 20)


def test_a_model_that_learned_the_answers_by_heart_is_not_proved_by_them(here: Deployment) -> None:
    evidence = known(here, by_model, recent=0, older=0)
    found = proved_by(here, evidence, model(one.text for one in evidence.judgments))
    assert (found.verdict, found.data["queries"]) == ("inconclusive", 0)


def test_a_model_that_does_not_say_what_it_learned_is_proved_by_one_half(here: Deployment) -> None:
    found = proved_by(here, known(here, by_model), model(()))
    assert 0 < found.data["queries"] < 240


def test_a_model_that_cannot_be_read_is_not_proved(here: Deployment) -> None:
    with pytest.raises(InvalidRequest, match="no reranker's file"):
        proved_by(here, known(here, by_model), b"model")


def test_a_trial_is_to_win_by_satisfied_searches_and_a_watch_guards_them(here: Deployment) -> None:
    furnish(here)
    kind = repairing(here, known(here, by_repair))
    change = here.proposed(kind, here.change("query_repair"), REPAIR)
    trial, watch = kind.trial(change), kind.watch(change)
    assert trial is not None and watch is not None
    assert trial.primary == "satisfied"
    assert [(one.metric, one.relative) for one in trial.guardrails] == [("error_rate", False), ("latency_p95", True)]
    assert next((one.metric, one.margin, one.relative) for one in watch.guardrails) == ("satisfied", 0.02, False)
    assert trial.overlay["search"]["snapshot"] == 1 and watch.overlay["search"]["snapshot"] == 0


def test_with_two_collections_and_none_named_nothing_is_guessed(here: Deployment) -> None:
    furnish(here)
    here.store.knowledge_documents.put("default", "second", [kept("a")])
    kind = FusionWeights(plane(here, known(here, by_weights)))
    change = here.change("fusion_weights")
    assert kind.propose(change, here.work(change)) is None
    unknown = here.change("fusion_weights", payload={"collection": "handbok"})
    with pytest.raises(NotFound, match="handbok"):
        kind.propose(unknown, here.work(unknown))


@pytest.mark.parametrize(("place", "verdict"), [(2, "passed"), (4, "failed")])
def test_a_reranker_that_learned_from_an_erased_person_is_replaced_by_one_that_is_as_good(
    here: Deployment, place: int, verdict: str
) -> None:
    furnish(here)
    shelf = here.store.knowledge_snapshots
    marked = shelf.keep("default", "reranker", b'{"training": {"erased": 2}}\ntrees')

    def ranks(config: SearchConfig, generation: str, text: str) -> Sequence[str]:
        return placed(text, 2 if config.reranking and config.reranking.model == marked else place)

    kind = Reranker(plane(here, known(here, ranks)), train)
    elsewhere = {"recommended": [{"kind": "reindex"}]}
    assert kind.propose(here.change("reranker"), here.work(here.change("reranker"), finding=elsewhere)) is None
    number = shelf.add("default", COLLECTION, SearchConfig(reranking=Reranking(model=marked)), "dana").number
    assert shelf.exchange("default", COLLECTION, number, instead_of=0)
    change = here.proposed(kind, here.change("reranker"), elsewhere)
    found = kind.prove(change, here.work(change))
    assert isinstance(found, Proof)
    assert (found.verdict, change.payload["notes"]["erased_people"]) == (verdict, 2), found.sentence


def test_what_was_made_of_an_artifact_that_an_erasure_replaced_is_made_again(here: Deployment) -> None:
    furnish(here)
    evidence = known(here, by_repair)
    people = {"gone": ["ann"], "stays": ["bob"]}

    def learned(pairs: Sequence[Pair]) -> bytes:
        said = {"words": {word: {"a": 1.0} for word in people}, "people": people}
        return msgspec.json.encode(said, order="sorted")

    run = Run(lambda: bench(here, lambda: repairing(here, evidence, learned), evidence, REPAIR))
    checkpoint: dict[str, Any] = {}
    first = proposal(run, told(run, checkpoint))
    shelf = here.store.knowledge_snapshots
    old = shelf.get("default", COLLECTION, 1).config.expansion
    with writing(here.store.engine) as connection:
        assert forget_learned(connection, "default", "ann").expansions == 1
    new = shelf.get("default", COLLECTION, 1).config.expansion
    assert old is not None and new is not None and old.table != new.table
    assert b"gone" not in shelf.artifact("default", new.table)
    del people["gone"]
    again = proposal(run, told(run, checkpoint))
    assert again.baseline == first.baseline
    kept = shelf.get("default", COLLECTION, int(again.candidate.split("-")[1])).config.expansion
    assert kept is not None and kept.table == new.table
