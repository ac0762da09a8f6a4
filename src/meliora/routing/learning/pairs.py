"""Scorers on pairs of answers to one prompt: the one that was shown, and a candidate's that never was.

Both are scored by the same scorers, or the pair says nothing of quality: what only one of them has cannot be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from meliora.routing.learning.records import Ending, Pair, PairBook, Said, Signals, Unscored
from meliora.routing.learning.rewards import RewardRule
from meliora.routing.learning.scorers import Sample, Scorer
from meliora.routing.learning.scoring import BATCH, HORIZON_US, sampled
from meliora.settings.learning import Scorer as ScorerSettings


@dataclass(frozen=True, slots=True)
class PairScoring:
    """The scorers at work on pairs. `rule` gives the reward function that holds now."""

    book: PairBook
    scorers: Sequence[tuple[ScorerSettings, Scorer]]
    read: Callable[[Unscored], Sample | None]
    rule: Callable[[], RewardRule]
    now_us: Callable[[], int]

    def step(self) -> bool:
        """Score what waits; tell whether there is more. Raises the first `MelioraError` of a scorer: its pair waits on."""
        more = False
        for tenant in self.book.tenants():
            found = self.book.waiting(tenant, self.now_us() - HORIZON_US, BATCH)
            for pair in found:
                self._judge(pair)
            more = more or len(found) == BATCH
        return more

    def _judge(self, pair: Pair) -> None:
        scores = self._scores(pair)
        known = {name: said for name, said in scores.items() if _whole(pair, said)}
        rule = self.rule()
        shown = rule.reward(_signals(pair, {name: said[0] for name, said in known.items()}, shown=True))
        reward = rule.reward(_signals(pair, {name: said[1] for name, said in known.items()}, shown=False))
        if shown is None or reward is None:
            self.book.judge(pair.tenant, pair.id, scores, None, None)
        else:
            self.book.judge(pair.tenant, pair.id, scores, shown.value, reward.value)

    def _scores(self, pair: Pair) -> dict[str, Said]:
        first = None if pair.shown_failed else self._sample(pair, pair.shown_text)
        second = None if pair.failed else self._sample(pair, pair.text)
        if (first is None and not pair.shown_failed) or (second is None and not pair.failed):
            return {}
        found: dict[str, Said] = {}
        for settings, scorer in self.scorers:
            if settings.tenant not in ("", pair.tenant) or (settings.tasks and pair.task not in settings.tasks):
                continue
            if not sampled(settings, pair.parent):
                continue
            said = pair.scores.get(settings.name)
            if said is None and first is not None:
                said = scorer.score(first).value
            found[settings.name] = said, None if second is None else scorer.score(second).value
        return found

    def _sample(self, pair: Pair, text: str | None) -> Sample | None:
        if text is None:
            return None
        return self.read(Unscored(pair.id, pair.dialect, pair.request_text, text, False))


def _whole(pair: Pair, said: Said) -> bool:
    """Whether a scorer could say something of each answer that came."""
    return all(failed or value is not None for failed, value in ((pair.shown_failed, said[0]), (pair.failed, said[1])))


def _signals(pair: Pair, scores: Mapping[str, float | None], *, shown: bool) -> Signals:
    failed = pair.shown_failed if shown else pair.failed
    ending: Ending = "failed" if failed else "ok"
    return Signals(
        call_id=pair.parent if shown else pair.id,
        tenant=pair.tenant,
        outcome=ending,
        started_us=pair.started_us,
        touched=0,
        scores={} if failed else {name: value for name, value in scores.items() if value is not None},
        cost_micros=pair.shown_cost_micros if shown else pair.cost_micros,
        latency_us=pair.shown_latency_us if shown else pair.latency_us,
    )
