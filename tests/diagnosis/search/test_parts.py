"""Slices, moment, corpus and features of the reranker: what was planted is told, a quiet past is told nothing of, unknown is unknown."""

from __future__ import annotations

import math

import numpy as np
import pytest

from meliora.diagnosis.search.parts import DRIFTED, corpus_change, drifted, moment_of, sliced, sourced
from meliora.diagnosis.search.seen import CorpusSeen, FeatureSeen, SearchSeen
from tests.diagnosis.search.searches import LENGTH, gained, one, seen

SOURCES, FEATURES, LANGUAGES = ("web", "app", "api"), ("help", "shop"), ("en", "de")
SPAN = LENGTH // 12


def searches(
    rng: np.random.Generator, count: int, since: int = 0, length: int = LENGTH, **bad: str
) -> list[SearchSeen]:
    """Make searches of all attributes; those that have all of `bad` do badly."""
    kinds = zip(
        *(rng.integers(len(names), size=count).tolist() for names in (SOURCES, FEATURES, LANGUAGES)), strict=True
    )
    drawn = rng.random((count, 2)).tolist()
    made = []
    for at, ((source, feature, language), (lucky, much)) in enumerate(zip(kinds, drawn, strict=True)):
        told = {"source": SOURCES[source], "feature": FEATURES[feature], "language": LANGUAGES[language]}
        level = 0.15 if bad and bad.items() <= told.items() else 0.6
        gain = 0.5 + much / 2 if lucky < level / 0.75 else 0.0
        moment = since + at * length // count
        tongue = told.pop("language")
        made.append(one(f"{since}-{at}", gain=gain, attributes=told, language=tongue, at_us=moment))
    return made


@pytest.mark.parametrize("sizes", [(1200, 1200), (600, 6000)])
@pytest.mark.parametrize(
    "bad", [{"source": "app"}, {"feature": "shop"}, {"language": "de"}, {"source": "api", "language": "en"}]
)
def test_the_planted_slice_stands_first(sizes: tuple[int, int], bad: dict[str, str]) -> None:
    rng = np.random.default_rng(1)
    now, before = sizes
    right = 0
    for _ in range(10):
        found = sliced(searches(rng, before), searches(rng, now, **bad))
        right += bool(found and found.slices and found.slices[0].attributes == bad)
    assert right >= 9


@pytest.mark.parametrize("sizes", [(300, 300), (300, 3000), (40, 1000)])
def test_in_noise_no_slice_is_named(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    now, before = sizes
    found = [sliced(searches(rng, before), searches(rng, now)) for _ in range(40)]
    assert sum(bool(each and each.slices) for each in found) <= 1


def test_a_source_that_was_not_there_before_is_accused_and_not_all_searches() -> None:
    """It has no past of its own: held against that of all others, which do as before."""
    rng = np.random.default_rng(14)
    right = 0
    for _ in range(10):
        new = [
            one(
                f"new{at}",
                gain=gained(rng, 0.1),
                attributes={"source": "kiosk", "feature": FEATURES[at % 2]},
                language="en",
            )
            for at in range(100)
        ]
        found = sliced(searches(rng, 800), [*searches(rng, 300), *new])
        right += bool(found and [each.attributes for each in found.slices] == [{"source": "kiosk"}])
    assert right >= 9


def test_where_all_searches_fell_a_new_source_among_them_is_not_accused_alone() -> None:
    rng = np.random.default_rng(15)
    now = [one(at, gain=gained(rng, 0.3), attributes={"source": "kiosk" if at % 2 else "web"}) for at in range(600)]
    before = [one(at, gain=gained(rng, 0.6), attributes={"source": "web"}) for at in range(600)]
    found = sliced(before, now)
    assert found is not None
    named = sorted(each.attributes.get("source", "") for each in found.slices)
    assert named in ([""], ["kiosk", "web"])


def test_where_all_searches_fell_alike_no_single_slice_is_accused() -> None:
    rng = np.random.default_rng(3)
    now = [one(each.id, gain=gained(rng, 0.3), attributes=each.attributes) for each in searches(rng, 500)]
    found = sliced([one(each.id, gain=each.gain, attributes=each.attributes) for each in searches(rng, 500)], now)
    assert found is not None and [each.attributes for each in found.slices] == [{}]


def test_searches_that_lack_an_attribute_are_a_slice_of_their_own() -> None:
    rng = np.random.default_rng(4)
    before, now = searches(rng, 600), searches(rng, 600)
    bare = [one(f"bare{at}", gain=gained(rng, 0.6)) for at in range(200)]
    worse = [one(f"bare{at}", gain=gained(rng, 0.1)) for at in range(200)]
    found = sliced([*before, *bare], [*now, *worse])
    assert found is not None and set(found.slices[0].attributes.values()) == {"unknown"}


@pytest.mark.parametrize("judged", [(False, False), (True, False), (False, True)])
def test_a_window_without_a_judged_search_has_no_slices_to_be_told(judged: tuple[bool, bool]) -> None:
    rng = np.random.default_rng(5)
    sides = [
        [one(each.id, gain=each.gain if known else None, attributes=each.attributes) for each in searches(rng, 50)]
        for known in judged
    ]
    assert sliced(*sides) is None
    assert sliced([], []) is None


@pytest.mark.parametrize("times", [1, 24])
@pytest.mark.parametrize("at", [-0.4, 0.0, 0.25, 0.5])
def test_the_moment_is_found_within_two_spans_of_the_planted_one(times: int, at: float) -> None:
    """`at` is where in the window now the gain fell, in windows; before it, the breach was seen late."""
    rng = np.random.default_rng(6)
    edge = times * LENGTH
    fell = edge + round(at * LENGTH)
    near = 0
    for _ in range(10):
        made = [(int(moment), gained(rng, 0.65)) for moment in rng.integers(0, fell, 150 * times)]
        made += [(int(moment), gained(rng, 0.2)) for moment in rng.integers(fell, edge + LENGTH, 150)]
        told = [one(n, gain=gain, at_us=moment) for n, (moment, gain) in enumerate(made)]
        before, now = [each for each in told if each.at_us < edge], [each for each in told if each.at_us >= edge]
        found = moment_of(seen(before, now, times), before, now)
        near += found is not None and abs(found.since_us - fell) <= 2 * SPAN and found.after > found.before
    assert near >= 9


def test_an_even_gain_seldom_has_a_moment_and_a_rising_one_never() -> None:
    rng = np.random.default_rng(7)
    quiet = better = 0
    for _ in range(60):
        before, now = searches(rng, 1200, 0, 8 * LENGTH), searches(rng, 150, 8 * LENGTH)
        quiet += moment_of(seen(before, now, 8), before, now) is not None
        risen = [one(each.id, gain=1.0, at_us=each.at_us) for each in now]
        better += moment_of(seen(before, risen, 8), before, risen) is not None
    assert quiet <= 7  # told at 5%
    assert better == 0


def test_a_clock_that_jumped_is_no_moment() -> None:
    """Searches that say they are of another time than their window are left out, and do not found a moment far away."""
    rng = np.random.default_rng(8)
    before, now = searches(rng, 300), searches(rng, 300, LENGTH)
    jumped = [one(f"j{at}", gain=0.0, at_us=2**60 + at * SPAN) for at in range(60)]
    assert moment_of(seen(before, [*now, *jumped]), before, [*now, *jumped]) == moment_of(
        seen(before, now), before, now
    )
    early = [one(f"e{at}", gain=0.0, at_us=-(10**9) - at * SPAN) for at in range(60)]
    assert moment_of(seen([*early, *before], now), [*early, *before], now) == moment_of(seen(before, now), before, now)


@pytest.mark.parametrize("count", [0, 1, 19])
def test_of_a_handful_of_judged_searches_no_moment_is_told(count: int) -> None:
    now = [one(at, gain=0.0, at_us=LENGTH + at) for at in range(count)]
    assert moment_of(seen([], now), [], now) is None


def test_a_window_without_a_length_has_no_moment() -> None:
    now = [one(at, gain=0.0, at_us=at) for at in range(50)]
    none = seen([], now)
    assert (
        moment_of(
            type(none)(before=(), now=tuple(now), window_before=none.window_now, window_now=none.window_before), [], now
        )
        is None
    )


def test_a_corpus_is_told_in_shares_and_what_was_not_counted_is_unknown() -> None:
    now = CorpusSeen(documents=200, added=50, missing=10, stale=4, extra=3, lag=2)
    found = corpus_change(CorpusSeen(documents=100, missing=1), now)
    assert found is not None
    assert (found.added, found.deleted, found.faults, found.faults_before) == (0.25, None, 0.07, 0.01)
    assert (found.extra, found.lag) == (0.015, 2)


def test_without_an_audit_faults_are_unknown_and_not_none_at_all() -> None:
    assert corpus_change(CorpusSeen(documents=100, missing=0), None) is None
    assert corpus_change(None, CorpusSeen(documents=0, missing=0)) is None
    found = corpus_change(None, CorpusSeen(documents=100))
    assert found is not None and found.faults is None and found.faults_before is None
    found = corpus_change(CorpusSeen(documents=0), CorpusSeen(documents=100, missing=3))
    assert found is not None and found.faults == 0.03 and found.faults_before is None


def test_more_faults_than_documents_are_all_of_them() -> None:
    found = corpus_change(None, CorpusSeen(documents=10, missing=10, stale=5))
    assert found is not None and found.faults == 1.0


def feature(rng: np.random.Generator, name: str, before: int, now: int, by: float = 0.0, **more: object) -> FeatureSeen:
    """Draw a feature of so many searches, moved by so many deviations."""
    old, new = rng.normal(2, 3, before), rng.normal(2 + 3 * by, 3, now)
    deviation = float(old.std(ddof=1)) if before > 1 else 0.0
    return FeatureSeen(
        name=name,
        mean_before=float(old.mean()),
        mean_now=float(new.mean()),
        deviation=deviation,
        n_before=before,
        n_now=now,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("sizes", [(4, 4), (5, 300), (300, 300)])
def test_features_that_did_not_move_are_seldom_told_also_of_few_searches(sizes: tuple[int, int]) -> None:
    """Each of 300 looks at 20 features: a false one in a hundred looks at most, and a little for chance."""
    rng = np.random.default_rng(9)
    looks = [drifted([feature(rng, f"f{at}", *sizes) for at in range(20)]) for _ in range(300)]
    assert sum(bool(found) for found in looks) <= 8


def test_the_moved_feature_is_told_alone_with_its_size() -> None:
    rng = np.random.default_rng(10)
    told = drifted([feature(rng, f"f{at}", 400, 400, 0.6 if at == 3 else 0.0) for at in range(20)])
    assert [each.name for each in told] == ["f3"]
    assert told[0].difference == pytest.approx(0.6, abs=0.2) and told[0].stability is None and told[0].lost is None


def test_a_sure_move_too_small_to_matter_is_not_told() -> None:
    rng = np.random.default_rng(11)
    assert drifted([feature(rng, "f", 50_000, 50_000, DRIFTED / 2)]) == ()


def test_what_costs_most_stands_first_and_a_cost_that_is_no_number_is_unknown() -> None:
    rng = np.random.default_rng(12)
    told = drifted(
        [
            feature(rng, "little", 200, 200, 2.0, contribution_before=0.3, contribution_now=0.2),
            feature(rng, "unknown", 200, 200, 3.0, contribution_before=math.nan, contribution_now=0.2),
            feature(rng, "much", 200, 200, 1.0, contribution_before=0.9, contribution_now=0.1),
        ]
    )
    assert [each.name for each in told] == ["much", "little", "unknown"]
    assert told[0].lost == pytest.approx(0.8) and told[2].lost is None


@pytest.mark.parametrize("of", [(0, 50), (1, 50), (50, 0)])
def test_a_side_without_searches_moves_no_feature(of: tuple[int, int]) -> None:
    far = FeatureSeen(name="f", mean_before=0.0, mean_now=100.0, deviation=1.0, n_before=of[0], n_now=of[1])
    assert drifted([far]) == () and drifted([]) == ()


@pytest.mark.parametrize("mean", [math.nan, math.inf])
def test_a_feature_that_is_no_number_is_not_told(mean: float) -> None:
    assert drifted([FeatureSeen(name="f", mean_before=0.0, mean_now=mean, deviation=1.0, n_before=9, n_now=9)]) == ()


def test_bins_give_a_stability_only_where_both_windows_have_the_same() -> None:
    rng = np.random.default_rng(13)
    bins = {"bins_before": (10.0, 20.0), "bins_now": (20.0, 10.0)}
    assert (drifted([feature(rng, "f", 90, 90, 2.0, **bins)])[0].stability or 0.0) > 0.1
    assert drifted([feature(rng, "f", 90, 90, 2.0, **{**bins, "bins_now": (1.0,)})])[0].stability is None
    with pytest.raises(ValueError, match="negative or not finite"):
        drifted([feature(rng, "f", 90, 90, 2.0, bins_before=(1.0, -1.0), bins_now=(1.0, 1.0))])


def answered(rng: np.random.Generator, count: int, **levels: float) -> list[SearchSeen]:
    """Give searches whose answers come from three sources and two categories; some with an answer that is not known."""
    made = []
    for at in range(count):
        source, category = SOURCES[int(rng.integers(3))], FEATURES[int(rng.integers(2))]
        answer = {"source": source, "category": category, "state": "live"} if rng.random() < 0.8 else {}
        level = levels.get(source, levels.get("every", 0.6))
        made.append(one(f"{at}", gain=gained(rng, level), answer=answer))
    return made


def test_the_source_that_got_worse_is_named_and_in_noise_or_where_all_fell_none_is() -> None:
    rng = np.random.default_rng(21)
    found = [sourced(answered(rng, 2400), answered(rng, 400, app=0.2)) for _ in range(10)]
    assert sum(bool(each) and each[0].attributes == {"source": "app"} for each in found) >= 9
    quiet = [sourced(answered(rng, 2400), answered(rng, 400)) for _ in range(40)]
    fell = [sourced(answered(rng, 2400), answered(rng, 400, every=0.2)) for _ in range(40)]
    assert sum(map(bool, quiet)) <= 1 and sum(map(bool, fell)) <= 1


def test_where_no_answer_is_known_nothing_is_said_of_sources() -> None:
    bare = [one(at, gain=0.5) for at in range(50)]
    assert sourced(bare, bare) is None
