"""Which repairs to try in what order: by how much of the lost gain each could undo. Where nothing is beyond chance, none."""

from __future__ import annotations

from meliora.diagnosis.records import FoundSlice
from meliora.diagnosis.search.finding import SearchFinding
from meliora.diagnosis.search.records import Loss, Repair, Sort

SURE = 2.75
"""z from which a share or a loss is believed: one-sided .003, as five causes are looked at."""
HARMLESS = -2.0
"""z of a loss below which a risen share of searches is surely no trouble: they are answered better than before."""
FAULTY = 0.01
"""Part of the documents that an index may lack before it is a cause."""
_RISE = 0.01
_ENOUGH = 20


def choose(finding: SearchFinding) -> tuple[Repair, ...]:
    """Give repairs, the one first that could bring back most; empty where no cause was found."""
    parts: dict[Sort, Loss] = {one.sort: one for one in finding.losses}
    index = _reindex(finding, parts)
    # Over an index that lacks documents nothing can be told of the ranking: it is looked at again when the index is sound.
    ranking = _ranking(finding, parts) if index is None else []
    found = [index, _spelling(parts), _expansion(finding, parts), *ranking]
    kept = [one for one in found if one is not None]
    return tuple(sorted(kept, key=lambda one: -_size(one, parts)))


def _reindex(finding: SearchFinding, parts: dict[Sort, Loss]) -> Repair | None:
    part, corpus = parts.get("index"), finding.corpus
    rise = None
    if corpus is not None and corpus.faults is not None:
        rise = corpus.faults - (corpus.faults_before or 0.0)
    seen = part is not None and _risen(part)
    if not seen and (rise is None or rise < FAULTY):
        return None
    # Searches whose lost documents nobody judged count in no sort: the audit says what they cost at least.
    level = finding.gain_before
    guesses = [
        part.lost if part is not None else None,
        rise * level if rise is not None and level is not None else None,
    ]
    known = [one for one in guesses if one is not None and one > 0]
    more = "" if corpus is None or corpus.faults_before is None else "more "
    told = "judged documents are missing" if rise is None else f"{rise:.1%} {more}of the documents are missing or stale"
    return Repair(
        kind="reindex",
        reason=f"{told} in the index",
        searches=part.searches_now if part is not None else None,
        expected=max(known, default=None),
    )


def _spelling(parts: dict[Sort, Loss]) -> Repair | None:
    part = parts.get("near")
    if part is None or not _risen(part) or part.share_now is None or part.share_before is None:
        return None
    return Repair(
        kind="query_repair",
        method="spelling",
        reason=f"{part.share_now:.1%} of the searches have a slip of a known word, {part.share_before:.1%} had",
        searches=part.searches_now,
        expected=_positive(part.lost),
    )


def _expansion(finding: SearchFinding, parts: dict[Sort, Loss]) -> Repair | None:
    far, weak = parts.get("far"), parts.get("weak")
    believed = [one for one in finding.weak if one.believed]
    recurring = set(finding.unknown.new)
    new = far is not None and _risen(far) and bool(recurring)
    old = weak is not None and weak.lost is not None and weak.lost_z is not None and weak.lost_z >= SURE
    if not new and not old:
        return None
    used = [one for one, told in ((far, new), (weak, old)) if one is not None and told]
    tokens = [*finding.unknown.new] if new else []
    tokens += [one.term for one in believed if one.known and old]
    lost = [one.lost for one in used if one.lost is not None]
    return Repair(
        kind="query_repair",
        method="expansion",
        reason="words that the passages lack recur in searches" if new else "searches with these words got worse",
        tokens=tuple(dict.fromkeys(tokens)),
        searches=sum(one.searches_now for one in used),
        expected=_positive(sum(lost)) if lost else None,
    )


def _ranking(finding: SearchFinding, parts: dict[Sort, Loss]) -> list[Repair]:
    rest = parts.get("rest")
    if rest is None or rest.lost is None or rest.lost_z is None or rest.lost_z < SURE:
        return []
    shifted = sum(one.share or 0.0 for one in _slices(finding) if one.effect == "more")
    lost = rest.lost * (1 - min(1.0, shifted))
    if lost < _RISE:
        return []
    found: list[Repair] = []
    if finding.features:
        names = ", ".join(one.name for one in finding.features[:3])
        reason = f"the reranker's features drifted: {names}"
        found.append(Repair(kind="reranker", reason=reason, searches=rest.searches_now, expected=lost))
    reason = "searches of known words over a sound index got worse"
    found.append(Repair(kind="fusion_weights", reason=reason, searches=rest.searches_now, expected=lost))
    return found


def _risen(part: Loss) -> bool:
    """Tell whether the share of such searches rose beyond chance.

    What people used shows only part of a loss: who finds anything clicks on it. So a rise is a cause to look into also where no loss
    is seen, and a repair still has to prove that it gains.
    """
    if part.share_z is None or part.share_z < SURE or _rise(part) < _RISE:
        return False
    return part.lost_z is None or part.judged_now < _ENOUGH or part.lost_z >= HARMLESS


def _size(one: Repair, parts: dict[Sort, Loss]) -> float:
    """Give the loss that a repair may undo; where it is unknown, the share of searches stands for it, a third as heavy."""
    if one.expected is not None:
        return one.expected
    sort: Sort = "near" if one.method == "spelling" else "index" if one.kind == "reindex" else "far"
    part = parts.get(sort)
    return max(0.0, _rise(part)) / 3 if part is not None else 0.0


def _rise(part: Loss) -> float:
    return 0.0 if part.share_now is None or part.share_before is None else part.share_now - part.share_before


def _slices(finding: SearchFinding) -> tuple[FoundSlice, ...]:
    return finding.explanation.slices if finding.explanation is not None else ()


def _positive(lost: float | None) -> float | None:
    return lost if lost is not None and lost > 0 else None
