"""Meaning is folded into a trunk: words that nobody compared before help where their vectors are near, and a call asks nobody."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from meliora.errors import InvalidRequest
from meliora.routing.learned.features import BUCKETS, IDS, read, words
from meliora.routing.learned.snapshot import decode, encode
from meliora.routing.learning.embedding import PromptVectors, WordVectors, folded, foretold, principal
from meliora.routing.learning.fit import Fitting, fit
from meliora.routing.learning.forest import Growing
from meliora.routing.learning.online import Learning, OnlineLearner
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import Embedding, everywhere, fit_trunk, phis, positions, read_all

MODELS = ("small", "large")
_RNG = random.Random(5)


def _coined(count: int) -> list[str]:
    return ["".join(_RNG.choices("abcdefghijklmnopqrstuvwxyz", k=8)) for _ in range(count)]


EASY, HARD = _coined(150), _coined(150)
"""Words without letters in common: nothing but their vectors says which of them are hard."""


def vectors(dim: int = 12) -> dict[str, np.ndarray]:
    """Give near vectors to words of one kind."""
    rng = np.random.default_rng(2)
    middle = {True: rng.normal(0, 1, dim), False: rng.normal(0, 1, dim)}
    return {
        word: (middle[kind] + rng.normal(0, 0.3, dim)).astype(np.float32)
        for kind, group in ((True, HARD), (False, EASY))
        for word in group
    }


def outcomes(count: int, seed: int = 1) -> Outcomes:
    rng = random.Random(seed)
    hard = [rng.random() < 0.5 for _ in range(count)]
    prompts = tuple(f"tell {' '.join(rng.choices(HARD if one else EASY, k=4))}" for one in hard)
    rewards = np.array([[0.0 if one else 1.0, 1.0] for one in hard])
    return Outcomes(prompts, MODELS, rewards, np.tile([1e-5, 1e-3], (count, 1)))


def fitting(known: WordVectors | PromptVectors | None) -> Fitting:
    return Fitting(embedding=Embedding(width=8, growing=Growing(trees=10), vectors=known), folds=3)


def error(known: WordVectors | PromptVectors | None, train: Outcomes, test: Outcomes) -> float:
    policy = fit(train, fitting=fitting(known))
    made = np.array([policy.predict(prompt).quality for prompt in test.prompts])
    return float(((made - test.rewards) ** 2).mean())


def test_words_are_found_where_the_features_hash_them():
    text = "Tell École of x2, and of  Ünder!\n\nAnd a question of more than a few letters: why?"
    found, ids = words(text)
    assert found[:3] == [b"tell", "École".encode(), b"of"]
    assert len(found) == len(ids)
    assert set(ids.tolist()) == {int(one) for one in read(text).ids if one >= BUCKETS}
    assert ids[found.index(b"of")] == words("of")[1][0]


def test_word_vectors_help_with_words_that_were_seldom_seen():
    train, test = outcomes(120), outcomes(200, seed=9)
    known = WordVectors(vectors(), "planted")
    assert error(known, train, test) < 0.7 * error(None, train, test)


def test_a_models_embeddings_help_as_far_as_n_grams_foretell_them():
    train, test = outcomes(120), outcomes(200, seed=9)
    table = vectors()
    known = {
        prompt: np.mean([table[word] for word in prompt.split() if word in table], axis=0) for prompt in train.prompts
    }
    assert error(PromptVectors(known, "planted"), train, test) < 0.95 * error(None, train, test)


def test_the_new_columns_weigh_as_much_as_the_space_of_words_and_are_minded_in_telling_what_is_usual():
    table = outcomes(150)
    corpus = read_all(table.prompts)
    bare = fit_trunk(corpus, 8)
    made = folded(bare, corpus, table.prompts, WordVectors(vectors(), "planted", width=5))
    assert made.table.shape == (IDS, 13) and made.size == bare.size + 5
    assert (made.table[:, :8] == bare.table).all()
    new = positions(made.table[:, 8:], corpus, made.idf)
    assert new.var(axis=0).mean() == pytest.approx(1, abs=1e-3)
    assert np.abs(new.mean(axis=0)).max() < 0.3
    assert made.id != bare.id and len(made.usual) == made.size - 1 > len(bare.usual)
    far = ((phis(everywhere(made), corpus)[:, 1:] @ made.usual) ** 2).sum(axis=1)
    assert 0.9 <= (far <= 1).mean() < 1
    again = folded(bare, corpus, table.prompts, WordVectors(vectors(), "planted", width=5))
    assert again.id == made.id
    assert folded(bare, corpus, table.prompts, WordVectors(vectors(), "planted", width=4)).id != made.id


def test_a_policy_with_meaning_goes_through_bytes_and_learns_on():
    policy = fit(outcomes(80), fitting=fitting(WordVectors(vectors(), "planted")))
    back = decode(encode(policy))
    prompt = outcomes(1, seed=4).prompts[0]
    assert back.predict(prompt).quality == pytest.approx(policy.predict(prompt).quality, abs=2e-3)
    learner = OnlineLearner(back, Learning())
    assert learner is not None and len(back.predict(prompt).phi) == back.embedding.size


def test_words_that_share_an_id_mean_what_they_mean_on_the_average():
    first = next(iter(EASY))
    place = int(words(first)[1][0])
    other = next(word for number in range(200_000) if int(words(word := f"w{number}")[1][0]) == place)
    known = {first: np.array([1.0, 0.0], np.float32), other: np.array([0.0, 1.0], np.float32)}
    prompts = [f"tell {word}" for word in [first] * 30 + [other] * 10] + ["tell nothing"] * 40
    means = WordVectors(known, "two")._means(prompts, len(prompts))
    shares = [30 * np.log(81 / 31), 10 * np.log(81 / 11)]
    assert means[place] == pytest.approx(np.array(shares) / sum(shares), abs=1e-5)
    assert not means[:BUCKETS].any() and (np.abs(means).sum(axis=1) > 0).sum() == 1


def test_a_table_without_a_word_of_the_prompts_is_refused(tmp_path: Path):
    path = tmp_path / "words.vec"
    path.write_text("gibtesnicht 1 2\n")
    with pytest.raises(InvalidRequest, match=r"words\.vec has none of the \d+ words"):
        WordVectors.read(path, outcomes(30).prompts)


def test_too_few_embeddings_or_of_different_lengths_are_refused():
    table = outcomes(60)
    corpus = read_all(table.prompts)
    idf = fit_trunk(corpus, 4).idf
    few = {prompt: np.ones(3, np.float32) for prompt in table.prompts[:19]}
    with pytest.raises(InvalidRequest, match="embedded 19 of 60"):
        PromptVectors(few, "m").directions(corpus, table.prompts, idf)
    mixed = {prompt: np.ones(3 + row % 2, np.float32) for row, prompt in enumerate(table.prompts)}
    with pytest.raises(InvalidRequest, match="different lengths"):
        PromptVectors(mixed, "m").directions(corpus, table.prompts, idf)


def test_vectors_that_say_nothing_change_nothing():
    table = outcomes(60)
    corpus = read_all(table.prompts)
    bare = fit_trunk(corpus, 4)
    same = {prompt: np.ones(3, np.float32) for prompt in table.prompts}
    assert folded(bare, corpus, table.prompts, PromptVectors(same, "m")) is bare
    elsewhere = WordVectors({"nowhere": np.ones(3, np.float32)}, "w")
    assert folded(bare, corpus, table.prompts, elsewhere) is bare


def test_only_directions_that_are_foretold_out_of_fold_are_kept():
    rng = np.random.default_rng(1)
    wide = rng.normal(0, 1, (200, 30))
    target = np.stack((wide @ rng.normal(0, 1, 30), rng.normal(0, 1, 200)), axis=1)
    coefficients, kept = foretold(wide, target)
    assert coefficients.shape == (30, 2) and kept.tolist() == [True, False]


@pytest.mark.parametrize("shape", [(50, 8), (8, 50)])
def test_principal_directions_are_the_greatest_ones(shape: tuple[int, int]):
    rng = np.random.default_rng(3)
    values = rng.normal(0, 1, (shape[0], 3)) * [10, 3, 1] @ np.linalg.qr(rng.normal(0, 1, (shape[1], 3)))[0].T
    found = principal(values, 2)
    _, sizes, right = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    assert np.abs(found.T @ right[:2].T) == pytest.approx(np.eye(2), abs=1e-6)
    assert principal(values, 9).shape[1] == 3 and sizes[2] > 0
