"""A finding is written once, stays what it was, and is its tenant's alone."""

from __future__ import annotations

import msgspec
import pytest

from meliora.diagnosis.finding import Finding
from meliora.diagnosis.records import Window
from meliora.errors import Conflict, NotFound


def finding(id: str = "finding_1", at_us: int = 1000, **over) -> Finding:
    """Make a finding without a cause."""
    values = {
        "id": id,
        "tenant": "default",
        "at_us": at_us,
        "metric": "error_rate",
        "gate": "errors",
        "environment": "dev",
        "measured": "errors",
        "unit": "share",
        "value": 0.5,
        "low": None,
        "high": None,
        "baseline": None,
        "direction": "above",
        "now": Window(10, 20),
        "before": Window(0, 10),
        "looked_at": (0, 0),
        "partial": False,
        "observed": None,
        "expected": None,
        "slices": (),
        "moment": None,
        "around": (),
        "kinds": (),
        "sentence": "error_rate in dev is 50.00%.",
    }
    return Finding(**values | over)


def test_a_finding_that_is_kept_twice_is_one(store) -> None:
    store.findings.keep("default", finding())
    store.findings.keep("default", finding())
    assert store.findings.list("default").items == (finding(),)


def test_another_finding_of_the_same_id_is_refused(store) -> None:
    store.findings.keep("default", finding())
    with pytest.raises(Conflict, match="another finding"):
        store.findings.keep("default", finding(value=0.6))
    assert store.findings.get("default", "finding_1").value == 0.5


def test_a_finding_is_kept_for_its_own_tenant_only(store) -> None:
    with pytest.raises(Conflict, match="another tenant"):
        store.findings.keep("acme", finding())
    store.findings.keep("acme", msgspec.structs.replace(finding(), tenant="acme"))
    with pytest.raises(NotFound):
        store.findings.get("default", "finding_1")


def test_findings_come_newest_first_by_pages_and_by_metric(store) -> None:
    for at in range(5):
        store.findings.keep("default", finding(f"finding_{at}", at // 2, metric="cost" if at == 3 else "error_rate"))
    first = store.findings.list("default", limit=2)
    second = store.findings.list("default", limit=2, cursor=first.next)
    last = store.findings.list("default", limit=2, cursor=second.next)
    assert [one.id for page in (first, second, last) for one in page.items] == [
        f"finding_{at}" for at in (4, 3, 2, 1, 0)
    ]
    assert last.next is None
    assert [one.id for one in store.findings.list("default", metric="cost").items] == ["finding_3"]
