"""What is done at each state of a change: one function a state, which gives the edge to take or how long to wait.

- `begin`    observed, diagnosed, proposed, proving
- `trial`    proved, trying, stopping
- `deliver`  delivering, rolling_back
- `watch`    watching
- `permit`   who is asked at an edge
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from meliora.loop.change import Change
from meliora.loop.house import House
from meliora.loop.states import State
from meliora.loop.steps import begin, deliver, trial, watch
from meliora.loop.steps.outcome import Outcome
from meliora.loop.work import Work

Step = Callable[[House, Change, Work], Outcome]

STEPS: Mapping[State, Step] = {
    State.OBSERVED: begin.observed,
    State.DIAGNOSED: begin.diagnosed,
    State.PROPOSED: begin.proposed,
    State.PROVING: begin.proving,
    State.PROVED: trial.proved,
    State.TRYING: trial.trying,
    State.STOPPING: trial.stopping,
    State.DELIVERING: deliver.delivering,
    State.ROLLING_BACK: deliver.rolling_back,
    State.WATCHING: watch.watching,
    State.PAUSED: begin.paused,
}
"""States that are missing here have nothing to be done."""
