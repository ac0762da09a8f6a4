"""A reranker trained on this machine: the same each time, told with intervals, and no file where it came to nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from meliora.errors import UpstreamError
from meliora.knowledge.augment.learning import Learnable, learnable
from meliora.knowledge.augment.local import LocalTrainer
from meliora.knowledge.augment.trainers import REPORT, Progress, reported
from meliora.knowledge.config import SearchConfig
from meliora.knowledge.quality.evidence import fingerprint
from meliora.knowledge.ranking.features import schema
from meliora.knowledge.ranking.model import Boosting, read
from meliora.knowledge.search.parts import Parts
from meliora.loop.artifacts.folder import replace
from tests.knowledge.ranking.conftest import Vectored, collection  # noqa: F401

SETTING = tuple[Vectored, Learnable]


@pytest.fixture
def setting(collection) -> SETTING:  # noqa: F811
    """The made collection, and its queries as a data set: words as terms, since the analysis leaves them as they are."""
    view, examples = collection
    rows = [
        {"query": f"{' '.join(_words(view, one.grades))} {one.query}", "document": document, "grade": grade}
        for one in examples
        for document, grade in list(one.grades.items())[:6]
    ]
    return view, learnable("\n".join(map(json.dumps, rows)), lambda document: True, ())


def _words(view: Vectored, grades) -> list[str]:
    first, *_, last = grades
    stored = view.stored([f"{first}#0", f"{last}#0"])
    return [word for one in stored if one is not None for word in one.terms[:3]]


def trainer(view: Vectored, seed: int = 1, write: Callable[[Path, bytes], None] = replace) -> LocalTrainer:
    return LocalTrainer(view, SearchConfig(), Parts(), seed, write, Boosting(rounds=10, bags=1, least=20))


def quiet(progress: Progress) -> None:
    return None


def never() -> bool:
    return False


def test_a_model_is_left_with_its_figures_and_named_by_its_content(setting: SETTING, tmp_path: Path) -> None:
    view, data = setting
    told: list[Progress] = []
    report = trainer(view).train(data, tmp_path, told.append, never)
    assert report.state == "finished" and report.held_out is not None
    (made,) = report.files
    body = (tmp_path / made.name).read_bytes()
    model = read(body)
    assert (made.name, made.bytes) == (f"{model.sha256}.reranker", len(body))
    assert report.features == schema() == model.head.schema
    held = report.held_out
    assert held.queries == len(data.queries) and held.low is not None and held.high is not None
    assert held.difference is not None and held.low < held.difference < held.high
    assert model.head.figures == report.metrics and model.head.training.judgments == (data.version,)
    assert set(model.head.training.learned) == {fingerprint(one) for one in data.texts}
    assert reported(tmp_path) == report and trainer(view).progress(tmp_path).state == "finished"
    shares = [one.share for one in told if one.share is not None]
    assert shares == sorted(shares) and len(shares) > 3


def test_the_same_data_set_and_seed_give_the_same_file(setting: SETTING, tmp_path: Path) -> None:
    view, data = setting
    reports = [trainer(view, seed).train(data, tmp_path / str(at), quiet, never) for at, seed in enumerate((1, 1, 2))]
    first, again, other = (report.files[0].sha256 for report in reports)
    assert first == again != other


@pytest.mark.parametrize("word", ["candidates of", "held out"])
def test_what_is_stopped_leaves_no_model_and_says_so(setting: SETTING, tmp_path: Path, word: str) -> None:
    view, data = setting
    seen: list[Progress] = []
    report = trainer(view).train(data, tmp_path, seen.append, lambda: any(word in one.said for one in seen))
    assert report.state == "stopped" and not report.files and not list(tmp_path.glob("*.reranker"))
    assert (report.held_out is not None) == (word == "held out")
    assert trainer(view).progress(tmp_path).state == "stopped"


def test_too_few_queries_fail_the_run_with_the_number(setting: SETTING, tmp_path: Path) -> None:
    view, data = setting
    few = msgspec.structs.replace(data, queries=data.queries[:20])
    report = trainer(view).train(few, tmp_path, quiet, never)
    assert report.state == "failed" and "30 or more" in report.said and not report.files


def test_a_run_that_is_not_over_is_unknown_and_a_damaged_report_is_an_error(setting: SETTING, tmp_path: Path) -> None:
    view, _ = setting
    assert trainer(view).progress(tmp_path).state == "unknown"
    (tmp_path / REPORT).write_text("{")
    with pytest.raises(UpstreamError, match="cannot be read"):
        trainer(view).progress(tmp_path)


def test_a_full_disk_is_told(setting: SETTING, tmp_path: Path) -> None:
    def full(path: Path, body: bytes) -> None:
        raise OSError(28, "No space left on device")

    view, data = setting
    with pytest.raises(UpstreamError, match="No space left"):
        trainer(view, write=full).train(data, tmp_path, quiet, never)
