"""What a learned decision costs: in a loop of its own, and added to a call of the gateway at saturation.

The policy is fitted as any other is, on invented outcomes of eight models: its size is what counts here, not its judgement.
CPU alone is measured. Beside each figure stands a plain loop of the same run, so that machines can be compared.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.gateway.processes import Upstream, cores
from benchmarks.gateway.saturate import Saturation, direct, pooled, refuse_slow_load, saturated_by
from benchmarks.gateway.served import GatewayProcess
from benchmarks.intervals import Estimate, mean
from benchmarks.load import canned
from benchmarks.report import Figure, Report, figure
from meliora.routing.choose import Learned, learned
from meliora.routing.dialled import Dialled
from meliora.routing.learned.policy import Policy
from meliora.routing.learning.fit import fit
from meliora.routing.learning.table import Outcomes
from meliora.routing.pool import Candidate
from meliora.routing.wanted import Asked, Wanted
from meliora.settings.models import Settings

MODELS = tuple(f"bench-{number}" for number in range(8))
_ABLE = [Candidate(name, input_price=0.25, output_price=2.0) for name in MODELS]
"""Ready, as a catalogue holds them."""
_PROMPTS = 400
_KB, _LONG = 1024, 4096
_SLICES = 20
_LOOP = 20_000
"""Additions of the plain loop."""


def measure(report: Report, seed: int, *, quick: bool = False) -> None:
    """Add `decision_us_hot`, `decision_us_cascade`, `decision_us_added`, `decision_us_added_4k` and `auto_rps_one_core` to the report."""
    policy = eight_models(seed)
    _hot(report, policy, seed)
    _cascading(report, eight_models(seed, answers=True), seed)
    _through_the_gateway(report, policy, seed, 4.0 if quick else 10.0)


def eight_models(seed: int, *, answers: bool = False) -> Policy:
    """Fit a policy of eight models to invented outcomes that depend on the prompt.

    With `answers` cascades are measured too: models that are right say the same, and each is wrong in a way of its own.
    """
    rng = random.Random(f"decision/{seed}")
    noise = np.random.default_rng(seed)
    prompts = tuple(canned.prose(rng, rng.randrange(60, 2 * _KB)) for _ in range(_PROMPTS))
    hard = np.array([prompt.count("report") + prompt.count("compare") for prompt in prompts], float)
    able = np.linspace(0.3, 0.9, len(MODELS))
    rewards = (noise.random((_PROMPTS, len(MODELS))) < able - 0.05 * (hard[:, None] - hard.mean())).astype(float)
    costs = 10 ** np.linspace(-5, -2, len(MODELS)) * np.array([[len(prompt) / _KB] for prompt in prompts])
    said = np.where(rewards > 0, 0, 1 + np.arange(len(MODELS))) if answers else None
    return fit(Outcomes(prompts, MODELS, rewards, costs, said=said), number=1)


def _hot(report: Report, policy: Policy, seed: int) -> None:
    chooser = learned(policy, Settings(), _ABLE)
    rng = random.Random(f"hot/{seed}")
    found = {}
    for name, size in (("decision_us_hot", _KB), ("decision_us_hot_4k", _LONG)):
        prompts = [canned.prose(rng, size) for _ in range(64)]
        found[name] = _cpu_us({"": lambda text: _weigh(chooser, text)}, prompts)[""]
    loop = _cpu_us({"": lambda _: sum(range(_LOOP))}, [""] * 16)[""]
    beside = {"plain_loop": loop.value, "four_kb": found["decision_us_hot_4k"].value}
    note = f"8 models, 1 KB prompt: features, prediction, choice, trace; {_LOOP:,} additions in a plain loop beside"
    report.add(figure("decision_us_hot", "us", found["decision_us_hot"], beside=beside, note=note))


def _cascading(report: Report, policy: Policy, seed: int) -> None:
    """Measure decisions that weigh the measured cascades, in turns with the same without them and with those that are only believed."""
    ladders = policy.ladders
    if ladders is None:
        raise RuntimeError("the invented answers left no cascade that is worth having: nothing can be measured")
    chooser, without = (learned(one, Settings(), _ABLE) for one in (policy, replace(policy, ladders=None)))
    rng = random.Random(f"cascade/{seed}")
    found = _cpu_us(
        {
            "measured": lambda text: _weigh(chooser, text, cascade=True),
            "alone": lambda text: _weigh(without, text),
            "believed": lambda text: _weigh(without, text, cascade=True),
        },
        [canned.prose(rng, _KB) for _ in range(64)],
    )
    beside = {"alone": found["alone"].value, "believed": found["believed"].value}
    count = len(ladders.legs) - len(MODELS)
    note = f"8 models and {count} measured cascades, 1 KB prompt; beside it without cascades, and with unmeasured ones"
    report.add(figure("decision_us_cascade", "us", found["measured"], beside=beside, note=note))


def _weigh(chooser: Learned, text: str, *, cascade: bool = False) -> object:
    wanted = Wanted("default", "auto", text, input_tokens=len(text) // 4, explore=True, uniform=0.5)
    return chooser.weigh(Asked(wanted, "chat", Dialled(0.98), cascade=cascade), _ABLE, ())


def _cpu_us(acts: Mapping[str, Callable[[str], object]], texts: Sequence[str]) -> dict[str, Estimate]:
    """Give the CPU microseconds of each act, with the interval over slices; in turns, so that the machine's moods touch all alike."""
    spent: dict[str, list[float]] = {name: [] for name in acts}
    for number in range(_SLICES + 1):
        for name, act in acts.items():
            before = time.process_time()
            for text in texts:
                act(text)
            if number:  # the first round warms up
                spent[name].append((time.process_time() - before) / len(texts) * 1e6)
    return {name: mean(each) for name, each in spent.items()}


def _through_the_gateway(report: Report, policy: Policy, seed: int, seconds: float) -> None:
    core, load_core = cores()
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {load_core})
    try:
        with tempfile.TemporaryDirectory(prefix="meliora-bench-") as folder, Upstream(load_core, Path(folder)) as up:
            alone = direct(up, 1.0, seed)
            with GatewayProcess(up.base_url, core, Path(folder) / "auto", policy) as gateway:
                named, auto = _both(gateway, seconds, seed, canned.REQUEST_BYTES)
                named_long, auto_long = _both(gateway, seconds / 2, seed, _LONG)
    finally:
        os.sched_setaffinity(0, allowed)
    refuse_slow_load(alone, auto.rps.value)
    beside = {"named": named.cpu_us.value, "auto": auto.cpu_us.value}
    note = f"{auto.calls} calls by auto, {named.calls} by name, 1 KB, in turns on one process"
    report.add(figure("decision_us_added", "us", added(auto, named), beside=beside, note=note))
    beside = {"named": named_long.cpu_us.value, "auto": auto_long.cpu_us.value}
    report.add(figure("decision_us_added_4k", "us", added(auto_long, named_long), beside=beside))
    beside = {"named": named.rps.value, "direct": alone.rps}
    share = f"the gateway had {auto.busy:.0%} of its core"
    report.add(figure("auto_rps_one_core", "1/s", auto.rps, beside=beside, note=share))
    report.add(Figure("auto_share_of_named", auto.rps.value / named.rps.value, "share"))


def _both(gateway: GatewayProcess, seconds: float, seed: int, size: int) -> tuple[Saturation, Saturation]:
    """Measure calls by name and by `auto`, in turns, so that what else the machine does touches both alike."""
    found: list[Saturation | None] = [None, None]
    kinds = [canned.requests(gateway.target, model, seed, size=size) for model in (canned.CHAT, "auto")]
    for place in (0, 1, 1, 0):
        seen = saturated_by(kinds[place], gateway.target, gateway.child, seconds / 2)
        before = found[place]
        found[place] = seen if before is None else pooled(before, seen)
    named, auto = found
    assert named is not None and auto is not None
    return named, auto


def added(auto: Saturation, named: Saturation) -> Estimate:
    """Give what `auto` costs more; the intervals add, as if they had nothing in common."""
    one, other = auto.cpu_us, named.cpu_us
    half = float(np.hypot((one.high - one.low) / 2, (other.high - other.low) / 2))
    value = one.value - other.value
    return Estimate(value, value - half, value + half, one.n + other.n)
