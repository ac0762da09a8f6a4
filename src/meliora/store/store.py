"""The store as one object: the engine and a repository for each concept, sharing one clock and one source of randomness."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import sqlalchemy as sa

from meliora.gateway.state import LEASE_SECONDS
from meliora.loop.audit.heads import Heads
from meliora.store.activity import Activity
from meliora.store.budgets import Budgets, OwnBudget
from meliora.store.calls.analytics import Analytics
from meliora.store.calls.calls import Calls
from meliora.store.calls.decisions import Decisions
from meliora.store.calls.feedbacks import Feedbacks
from meliora.store.calls.metrics import Metrics
from meliora.store.calls.shadows import Shadows
from meliora.store.calls.sink import SpoolSink
from meliora.store.calls.slices import Slices
from meliora.store.calls.windows import RollupWindows
from meliora.store.deployment import Deployment
from meliora.store.engine import connect, database_url
from meliora.store.gateways import Gateways
from meliora.store.housekeeping import StoreHousekeeping
from meliora.store.keys import Keys
from meliora.store.knowledge.comparisons import KnowledgeComparisons
from meliora.store.knowledge.datasets import DataSets
from meliora.store.knowledge.documents import KnowledgeDocuments
from meliora.store.knowledge.figures import KnowledgeFigures
from meliora.store.knowledge.judgments import Judgments
from meliora.store.knowledge.memory import Memory
from meliora.store.knowledge.searches import Searches
from meliora.store.knowledge.snapshots import KnowledgeSnapshots
from meliora.store.knowledge.upkeep import KnowledgeUpkeep
from meliora.store.loop.alerts import Alerts
from meliora.store.loop.approvals import Approvals
from meliora.store.loop.arms import Arms
from meliora.store.loop.audit import Audit, audit_secret
from meliora.store.loop.changes import Changes
from meliora.store.loop.comparisons import Comparisons
from meliora.store.loop.control import Control
from meliora.store.loop.cycles import Cycles
from meliora.store.loop.findings import Findings
from meliora.store.loop.flags import Flags
from meliora.store.loop.gate_figures import GateFigures
from meliora.store.loop.gates import Gates
from meliora.store.loop.learning_events import LearningEvents
from meliora.store.loop.policy_bundles import PolicyBundles
from meliora.store.loop.search_arms import SearchArms
from meliora.store.loop.shadow_arms import ShadowArms
from meliora.store.loop.trials import Trials
from meliora.store.loop.triggers import TriggerTable
from meliora.store.routing.model_choices import ModelChoices
from meliora.store.routing.model_performances import ModelPerformances
from meliora.store.routing.outcomes import Outcomes
from meliora.store.routing.preference_tables import PreferenceTables
from meliora.store.routing.preferences import Preferences
from meliora.store.routing.rules import Rules
from meliora.store.routing.snapshots import RoutingSnapshots
from meliora.store.states import States
from meliora.telemetry.ids import SEARCH_PREFIX, CallIds
from meliora.telemetry.pending import Pending
from meliora.telemetry.spool import SpoolReader


def now_us() -> int:
    """Give the time in microseconds UTC: the default clock."""
    return time.time_ns() // 1000


class Store:
    """Everything that is kept. Safe to share between threads; the schema must be there (`migrate.upgrade`).

    With `spool`, the directory of this machine's spool, feedback also finds calls that are not ingested yet. With `state_dir` the
    audit's heads are written there; `audit_key` signs them in place of the deployment's secret.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        clock_us: Callable[[], int] = now_us,
        randbytes: Callable[[int], bytes] = os.urandom,
        budget_slice: float = 0.05,
        own_budget: OwnBudget | None = None,
        lease_seconds: float = LEASE_SECONDS,
        spool: Path | None = None,
        state_dir: Path | None = None,
        audit_key: str = "",
    ) -> None:
        self.engine = engine
        self.deployment = Deployment(engine, randbytes)
        self.secret = self.deployment.secret()
        self.call_ids = CallIds(bytes.fromhex(self.secret), clock_us, randbytes)
        self.search_ids = CallIds(bytes.fromhex(self.secret), clock_us, randbytes, prefix=SEARCH_PREFIX)
        self.sink = SpoolSink(engine, self.secret, clock_us)
        unseen = None if spool is None else Pending(SpoolReader(spool), self.sink.offsets)
        self.calls = Calls(engine)
        self.feedbacks = Feedbacks(engine, clock_us, self.call_ids.issued, unseen)
        self.metrics = Metrics(engine, clock_us)
        self.model_performances = ModelPerformances(engine, clock_us)
        self.rules = Rules(engine, clock_us, randbytes)
        self.routing_snapshots = RoutingSnapshots(engine, clock_us)
        self.outcomes = Outcomes(engine, clock_us)
        self.keys = Keys(engine, clock_us, randbytes)
        self.budgets = Budgets(engine, budget_slice, own_budget)
        self.states = States(engine, self.secret, lease_seconds)
        self.gateways = Gateways(engine)
        self.analytics = Analytics(engine)
        self.decisions = Decisions(engine)
        self.slices = Slices(engine)
        self.findings = Findings(engine)
        self.activity = Activity(engine, clock_us)
        self.preferences = Preferences(engine, self.secret, clock_us, randbytes)
        self.preference_tables = PreferenceTables(engine, self.secret, clock_us)
        self.gate_figures = GateFigures(engine)
        self.triggers = TriggerTable(engine, clock_us)
        self.windows = RollupWindows(engine)
        signing = audit_secret(self.secret, audit_key)
        heads = None if state_dir is None else Heads(state_dir, signing)
        self.audit = Audit(engine, signing, clock_us, heads)
        self.gates = Gates(engine, self.audit)
        self.policy_bundles = PolicyBundles(engine, clock_us)
        self.approvals = Approvals(engine, self.audit, clock_us, randbytes)
        self.control = Control(engine, self.audit, clock_us)
        self.changes = Changes(engine, clock_us, randbytes, self.audit)
        self.alerts = Alerts(engine, clock_us)
        self.cycles = Cycles(engine, clock_us)
        self.flags = Flags(engine, self.audit, clock_us)
        self.learning_events = LearningEvents(engine, clock_us)
        self.trials = Trials(engine, clock_us)
        self.model_choices = ModelChoices(engine, clock_us)
        self.comparisons = Comparisons(engine)
        self.arms = Arms(engine)
        self.shadows = Shadows(engine, clock_us)
        self.shadow_arms = ShadowArms(engine)
        self.knowledge_documents = KnowledgeDocuments(engine, clock_us)
        self.knowledge_comparisons = KnowledgeComparisons(engine, clock_us)
        self.knowledge_figures = KnowledgeFigures(engine)
        self.knowledge_snapshots = KnowledgeSnapshots(engine, clock_us)
        self.knowledge_upkeep = KnowledgeUpkeep(engine, clock_us)
        self.judgments = Judgments(engine, clock_us)
        self.datasets = DataSets(engine, self.secret, clock_us)
        self.searches = Searches(engine, clock_us, self.search_ids.issued)
        self.search_arms = SearchArms(engine)
        self.memory = Memory(engine, self.secret, clock_us)
        self.housekeeping = StoreHousekeeping(engine, self.secret, clock_us, randbytes)

    @classmethod
    def open(
        cls,
        url: str,
        state_dir: Path,
        *,
        pool_size: int = 5,
        budget_slice: float = 0.05,
        own_budget: OwnBudget | None = None,
        lease_seconds: float = LEASE_SECONDS,
        audit_key: str = "",
    ) -> Store:
        """Open the database at `url`, or SQLite in the state directory where it is empty.

        Raises `StoreUnavailable`, and `SchemaMismatch` with the command to run where its version is not this code's.
        """
        from meliora.store.migrate import check

        engine = connect(database_url(url, state_dir), pool_size=pool_size)
        try:
            check(engine)
            return cls(
                engine,
                budget_slice=budget_slice,
                own_budget=own_budget,
                lease_seconds=lease_seconds,
                spool=state_dir / "spool",
                state_dir=state_dir,
                audit_key=audit_key,
            )
        except BaseException:
            engine.dispose()
            raise

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
