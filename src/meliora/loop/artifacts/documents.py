"""The files of a cycle, made of its facts alone. Pure: the same facts and references, the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import md5, sha256
from itertools import chain
from typing import Any

import msgspec

from meliora.loop.artifacts.facts import Facts, MadeData, Passed
from meliora.loop.artifacts.plain import to_json, to_yaml
from meliora.loop.artifacts.trial import tried
from meliora.loop.change import Edge
from meliora.loop.record import evidence_hash
from meliora.loop.states import State

DATASET = "dataset_references.json"
AUGMENTED = "augmented_dataset.csv"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run as an experiment tracker knows it."""

    run_id: str
    artifact_uri: str


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A data set as a data versioner knows it; `hash` is MD5, which is what DVC names contents by."""

    path: str
    hash: str
    size: int


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """Where the cycle is known besides; a reason in place of what is not there."""

    run: Run | None = None
    no_run: str = "MLflow is not set up"
    data: Version | None = None
    no_data: str = "DVC is not set up"


class Documents(msgspec.Struct, frozen=True, kw_only=True):
    """Files by name, and those that do not apply with the reason."""

    files: dict[str, bytes]
    absent: dict[str, str]


def documents(facts: Facts, elsewhere: Elsewhere) -> Documents:
    """Make them all."""
    run = elsewhere.run.run_id if elsewhere.run is not None else facts.cycle.id
    files: dict[str, bytes] = {}
    absent: dict[str, str] = {}

    def put(name: str, made: bytes | None, reason: str) -> None:
        if made is None:
            absent[name] = reason
        else:
            files[name] = made

    put("diagnostic_report.json", _diagnosis(facts), "nothing was diagnosed in this cycle")
    no_proof = "no change of this cycle came to a proof"
    put("dataset_manifest.yaml", _manifest(facts, elsewhere), no_proof)
    put(DATASET, references(facts), no_proof)
    made = augmented(facts)
    put(AUGMENTED, None if made is None else made.rows, "no kind of change made a data set in this cycle")
    results = [found for one in facts.changes if (found := tried(one)) is not None]
    body = {"cycle_id": facts.cycle.id, "tests": results}
    put("ab_test_results.json", to_json(body) if results else None, "nothing was tried or watched on live traffic")
    files["audit_record.json"] = _audit(facts)
    nothing = "nothing was delivered"
    put("helm_patch.yaml", _patch(facts), nothing)
    put("model_registry_ref", _registry(facts), nothing)
    put(f"mlflow_run_{run}/model", _model(facts), "there was no candidate")
    put(f"mlflow_run_{run}/metrics", _metrics(facts), "nothing was measured")
    put("dvc.lock", _lock(elsewhere.data), elsewhere.no_data)
    if elsewhere.run is None:
        absent["mlflow"] = f"{elsewhere.no_run}; the run's files are named by the cycle"
    return Documents(files=files, absent=dict(sorted(absent.items())))


def references(facts: Facts) -> bytes | None:
    """Give which data each candidate was proved on, by id, count and hash; None where there was no proof."""
    if not facts.proofs:
        return None
    rows = [
        {
            "change": one.change.id,
            "kind": one.change.kind,
            "target": one.change.target,
            "baseline": one.change.baseline,
            "candidate": one.change.candidate,
            "method": proof.get("method"),
            "rule": proof.get("rule"),
            "seed": proof.get("seed"),
            "data": proof.get("data", {}),
            "sha256": evidence_hash(proof.get("data", {})),
        }
        for one, proof in facts.proofs
    ]
    return to_json({"cycle_id": facts.cycle.id, "proved_on": rows})


def augmented(facts: Facts) -> MadeData | None:
    """Give the data set that a kind made, of the last change that has one."""
    return next((one.augmented for one in reversed(facts.changes) if one.augmented is not None), None)


def dataset(facts: Facts) -> tuple[str, bytes] | None:
    """Give the data set of a cycle by name and content: the one that was made, else the references; None where there is neither."""
    made, referred = augmented(facts), references(facts)
    if made is not None:
        return AUGMENTED, made.rows
    return None if referred is None else (DATASET, referred)


def dataset_id(content: bytes) -> str:
    """Name a data set by its content."""
    return f"ds_{sha256(content).hexdigest()[:16]}"


def version_of(path: str, content: bytes) -> Version:
    """Give the content as a data versioner knows it."""
    return Version(path=path, hash=md5(content, usedforsecurity=False).hexdigest(), size=len(content))


def _diagnosis(facts: Facts) -> bytes | None:
    report = next((one.report for one in facts.changes if one.report is not None), None)
    return None if report is None else to_json(report)


def _manifest(facts: Facts, elsewhere: Elsewhere) -> bytes | None:
    """Give what is said of the data set of a cycle: the made one, else what the last candidate was proved on."""
    content, made = references(facts), augmented(facts)
    if made is not None:
        said = dict(made.manifest)
    elif content is not None:
        said = _referred(facts, content)
    else:
        return None
    body = {
        "dataset_id": said["dataset_id"],
        "cycle_id": facts.cycle.id,
        "created_at": said.get("created_at") or _moment(facts.cycle.closed_us),
        "source": said["source"] | {"trigger": facts.cycle.subject},
        "method": said["method"],
        "target_tokens": said["target_tokens"],
        "statistics": said["statistics"],
        "dvc": {
            "path": None if elsewhere.data is None else elsewhere.data.path,
            "hash": None if elsewhere.data is None else elsewhere.data.hash,
        },
        "mlflow": {
            "run_id": None if elsewhere.run is None else elsewhere.run.run_id,
            "artifact_uri": None if elsewhere.run is None else elsewhere.run.artifact_uri,
        },
    }
    body |= {name: said[name] for name in ("version", "refused") if name in said}
    if content is not None:
        last, _ = facts.proofs[-1]
        body["references"] = {"file": DATASET, "sha256": sha256(content).hexdigest(), "change": last.change.id}
    return to_yaml(body)


def _referred(facts: Facts, content: bytes) -> dict[str, Any]:
    _, proof = facts.proofs[-1]
    sizes = [figure.get("n") or 0 for _, one in facts.proofs for figure in one.get("figures", ())]
    return {
        "dataset_id": dataset_id(content),
        "source": {"type": "recorded", "trigger": None, "base_documents": None},
        "method": proof.get("method"),
        "target_tokens": None,
        "statistics": {"total_examples": max(sizes, default=0) or None, "avg_length": None, "diversity_score": None},
    }


def _audit(facts: Facts) -> bytes:
    cycle = facts.cycle
    breach = cycle.breach or {}
    body = {
        "cycle_id": cycle.id,
        "timestamp": _moment(cycle.closed_us),
        "environment": cycle.environment,
        "trigger": {
            "type": cycle.origin.kind,
            "name": cycle.origin.name,
            "metric": breach.get("metric"),
            "value": (breach.get("reading") or {}).get("value"),
            "baseline": (breach.get("baseline") or {}).get("value"),
        },
        "actions": _actions(facts),
        "approver": "user" if any(_approved(edge) for one in facts.changes for edge in one.edges) else "system",
        "total_cost_usd": None if facts.cost_micros is None else facts.cost_micros / 1e6,
        "outcome": cycle.outcome,
        "rollback_available": any(one.state is State.KEPT for one in facts.changes),
        "replay": [f"meliora audit replay {one.change.id}" for one in facts.changes],
    }
    return to_json(body)


_STATUS = {State.REJECTED: "rejected", State.PAUSED: "paused", State.ROLLBACK_FAILED: "failed"}


def _actions(facts: Facts) -> list[dict[str, Any]]:
    taken: list[tuple[int, int, Edge, Passed, float | None]] = []
    for number, one in enumerate(facts.changes):
        before: Edge | None = None
        for edge in one.edges:
            spent = None if before is None else (edge.at_us - before.at_us) / 1e6
            taken.append((edge.at_us, number, edge, one, spent))
            before = edge
    taken.sort(key=lambda each: (each[1], each[2].seq))
    return [
        {
            "sequence": sequence,
            "type": str(edge.target),
            "change": one.change.id,
            "kind": one.change.kind,
            "target": one.change.target,
            "status": _STATUS.get(edge.target, "completed"),
            "timestamp": _moment(at_us),
            "duration": spent,
            "outputs": {
                "hash": evidence_hash(edge.evidence),
                "job": f"{edge.change}:{edge.source}:{edge.attempt}",
                "revision": one.change.candidate if edge.target in _SERVING else None,
                "policy": edge.policy,
            },
            "rollback_plan": edge.evidence.get("rehearsal"),
        }
        for sequence, (at_us, _, edge, one, spent) in enumerate(taken, 1)
    ]


_SERVING = (State.WATCHING, State.KEPT)


def _approved(edge: Edge) -> bool:
    decision = edge.evidence.get("decision")
    return isinstance(decision, dict) and bool((decision.get("facts") or {}).get("approved"))


def _patch(facts: Facts) -> bytes | None:
    if not facts.delivered:
        return None
    return to_yaml(
        {
            "selfImprovement": {
                "cycle": facts.cycle.id,
                "changes": [
                    {
                        "change": one.change.id,
                        "kind": one.change.kind,
                        "target": one.change.target,
                        "from": one.change.baseline,
                        "to": one.change.candidate,
                        "state": str(one.state),
                        "payload_sha256": evidence_hash(one.change.payload),
                    }
                    for one in facts.delivered
                ],
            }
        }
    )


def _registry(facts: Facts) -> bytes | None:
    rows = [f"meliora:{one.change.kind}/{one.change.target}@{one.change.candidate}\n" for one in facts.delivered]
    return "".join(rows).encode() if rows else None


def _model(facts: Facts) -> bytes | None:
    rows = [
        {
            "change": one.change.id,
            "kind": one.change.kind,
            "target": one.change.target,
            "candidate": one.change.candidate,
            "baseline": one.change.baseline,
            "payload_sha256": evidence_hash(one.change.payload),
        }
        for one in facts.changes
        if one.change.candidate is not None
    ]
    return to_json(rows) if rows else None


def measured(facts: Facts) -> list[dict[str, Any]]:
    """Give each figure of proofs and trials, with its interval where there is one."""
    proved = (_row(one, "proof", figure) for one, proof in facts.proofs for figure in proof.get("figures", ()))
    trials = ((one, one.said("trial")) for one in facts.changes)
    lived = (_row(one, "trial", figure) for one, trial in trials for figure in (trial or {}).get("figures") or ())
    return list(chain(proved, lived))


def _row(one: Passed, source: str, figure: dict[str, Any]) -> dict[str, Any]:
    get: Callable[[str], Any] = figure.get
    value = get("value") if source == "proof" else get("effect")
    return {"change": one.change.id, "source": source, "name": get("name"), "value": value} | {
        name: get(name) for name in ("low", "high", "n", "unit") if name in figure
    }


def _metrics(facts: Facts) -> bytes | None:
    rows = measured(facts)
    return to_json(rows) if rows else None


def _lock(data: Version | None) -> bytes | None:
    if data is None:
        return None
    out = {"path": data.path, "hash": "md5", "md5": data.hash, "size": data.size}
    return to_yaml({"schema": "2.0", "stages": {"dataset": {"cmd": "meliora loop artifacts", "outs": [out]}}})


def _moment(at_us: int | None) -> str | None:
    return None if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC).isoformat()
