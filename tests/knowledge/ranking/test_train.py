"""A reranker is learned from graded candidates, by query, the same way each time, and not from too few."""

import msgspec
import numpy as np
import pytest

from meliora.errors import InvalidRequest
from meliora.knowledge.ranking.features import FEATURES, NAMES
from meliora.knowledge.ranking.model import Boosting
from meliora.knowledge.ranking.train import LEAST_QUERIES, cross_validate, figure, train
from meliora.stats.paired import compare

QUICK = Boosting(rounds=30, bags=2, least=20)


def test_what_is_learned_from_some_queries_helps_others(collection):
    _, examples = collection
    folded = cross_validate(examples, QUICK, seed=3)
    queries = sorted(folded.before)
    found = compare([folded.before[query] for query in queries], [folded.after[query] for query in queries])
    assert found.difference is not None and found.difference > 0.02
    assert found.p_better is not None and found.p_better < 0.05


def test_shuffled_grades_teach_nothing(collection):
    """Of the fused order stays what was there: the model rests upon it."""
    _, examples = collection
    rng = np.random.default_rng(1)
    shuffled = []
    for one in examples:
        names = list(dict.fromkeys(one.documents))
        moved = dict(zip(names, (one.grades.get(name, 0) for name in rng.permutation(names)), strict=True))
        shuffled.append(msgspec.structs.replace(one, grades=moved))
    model = train(shuffled, QUICK, seed=3)
    before, after = (np.mean([figure(one, given) for one in examples]) for given in (None, model))
    assert after < before + 0.03


def test_the_same_examples_and_seed_give_the_same_bytes_in_whatever_order(collection):
    _, examples = collection
    first = train(examples, QUICK, seed=3)
    assert train(examples[::-1], QUICK, seed=3).sha256 == first.sha256
    assert train(examples, QUICK, seed=4).sha256 != first.sha256


def test_more_of_a_feature_that_can_only_help_never_lowers_the_score(collection):
    _, examples = collection
    model = train(examples, QUICK, seed=3)
    table = examples[0].table
    for at, feature in enumerate(FEATURES):
        if feature.direction == "more":
            raised = table.copy()
            raised[:, at] += 2.0
            assert (model.score(raised) >= model.score(table) - 1e-9).all(), feature.name


def test_too_few_queries_that_tell_anything_are_refused(collection):
    _, examples = collection
    silent = [msgspec.structs.replace(one, grades={}) for one in examples[LEAST_QUERIES - 1 :]]
    with pytest.raises(InvalidRequest, match=f"{LEAST_QUERIES - 1} queries"):
        train(examples[: LEAST_QUERIES - 1] + silent, QUICK, seed=3)


def test_queries_that_tell_nothing_are_counted_and_left_out(collection):
    _, examples = collection
    silent = msgspec.structs.replace(examples[0], query="silent", grades={})
    head = train([*examples, silent], QUICK, seed=3, judgments=("set-1",), figures={"ndcg@10": 0.5}).head
    assert (head.training.queries, head.training.skipped) == (len(examples), 1)
    assert head.training.judgments == ("set-1",) and head.figures == {"ndcg@10": 0.5}
    assert "silent" not in cross_validate([*examples, silent], QUICK, seed=3).after


def test_a_table_of_other_features_or_a_weight_that_is_none_is_refused(collection):
    _, examples = collection
    narrow = [msgspec.structs.replace(one, table=one.table[:, 1:]) for one in examples]
    with pytest.raises(InvalidRequest, match=str(len(NAMES) - 1)):
        train(narrow, QUICK, seed=3)
    document = next(iter(examples[0].documents))
    bad = msgspec.structs.replace(examples[0], weights={document: float("nan")})
    with pytest.raises(InvalidRequest, match="weight"):
        train([bad, *examples[1:]], QUICK, seed=3)


def test_weights_from_clicks_move_the_model(collection):
    _, examples = collection
    plain = train(examples, QUICK, seed=3)
    weighted = [msgspec.structs.replace(one, weights=dict.fromkeys(list(one.grades)[:3], 8.0)) for one in examples]
    assert train(weighted, QUICK, seed=3).sha256 != plain.sha256


def test_what_was_made_of_a_query_is_never_tested_by_a_model_that_saw_the_query(collection, monkeypatch):
    _, examples = collection
    pairs = [
        msgspec.structs.replace(one, query=f"{one.query}/{made}", family=one.query)
        for one in examples
        for made in (0, 1)
    ]
    seen: list[set[str]] = []
    from meliora.knowledge.ranking import train as module

    def noted(learned, *args, **said):
        seen.append({one.family for one in learned})
        return train(learned, *args, **said)

    monkeypatch.setattr(module, "train", noted)
    cross_validate(pairs, Boosting(rounds=2, bags=1), seed=3)
    families = {one.family for one in pairs}
    assert len(seen) == 5 and all(families - one for one in seen)
    # Each family is left out by exactly one fold: had a pair been parted, it would be in all five.
    assert sum(len(families - one) for one in seen) == len(families)


def test_a_grade_between_two_counts_between_them(collection):
    _, examples = collection
    halves = [msgspec.structs.replace(one, grades=dict.fromkeys(one.grades, 0.25)) for one in examples]
    assert train(halves, Boosting(rounds=2, bags=1), seed=3).head.training.relevant > 0


def test_grades_below_0_count_as_0_and_great_ones_are_no_error(collection):
    _, examples = collection
    odd = [
        msgspec.structs.replace(one, grades={**one.grades, one.documents[-1]: -5, one.documents[0]: 1000})
        for one in examples
    ]
    assert train(odd, Boosting(rounds=2, bags=1), seed=3).head.training.queries == len(examples)
