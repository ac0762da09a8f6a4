"""Every table, as SQLAlchemy Core metadata. Holds no queries; `migrations` builds what stands here.

calls        calls, what was said in them, their shadows, and the words that people gave on them
measures     figures: what was measured, by model, by window and by day
routing      what decides where calls go: rules, snapshots, what is learned from outcomes and likings, delivered choices of models
keys         who may call, and what that may cost
running      how a deployment runs: spool, gateways, what was done by hand, whom it has erased
loop         what goes through the loop: cycles, changes with their edges, gates, findings, trials
governance   what governs the loop: the audit, approvals, the kill switch, flags, what was learned
alerts       what people are told, and the outbox that it goes out by
knowledge    what can be searched: documents, how they are searched, what is judged and made of them, what their upkeep did
knowledge_index  the index of documents where PostgreSQL keeps it
searches     what was searched, what it was given, and what people did with it
memory       what was said in conversations that are to be remembered
columns      the metadata that all share, and the kinds of columns
"""

from __future__ import annotations

from meliora.store.tables.alerts import alert_outbox, alerts
from meliora.store.tables.calls import call_contents, call_slots, calls, feedback, feedback_history, shadow_calls
from meliora.store.tables.columns import metadata
from meliora.store.tables.governance import (
    approvals,
    audit_entries,
    audit_head,
    feature_flags,
    learning_events,
    loop_control,
    loop_processes,
    policy_bundles,
)
from meliora.store.tables.keys import budget_leases, budget_usage, key_hashes, keys
from meliora.store.tables.knowledge import (
    augmented_datasets,
    augmented_examples,
    augmented_people,
    judgment_sets,
    judgments,
    knowledge_archived,
    knowledge_artifacts,
    knowledge_collections,
    knowledge_comparisons,
    knowledge_deletions,
    knowledge_documents,
    knowledge_doubles,
    knowledge_pairs,
    knowledge_snapshots,
)
from meliora.store.tables.knowledge_index import (
    index_files,
    index_generations,
    index_passages,
    index_postings,
    index_states,
)
from meliora.store.tables.loop import (
    change_edges,
    change_holds,
    changes,
    cycles,
    findings,
    gate_readings,
    gates,
    trial_stages,
    trials,
    triggers,
)
from meliora.store.tables.measures import (
    model_performance,
    performance_metrics,
    rollup_days,
    rollup_windows,
    rollups,
    usage_daily,
    usage_gateways,
    usage_users,
)
from meliora.store.tables.memory import memory_conversations, memory_summaries, memory_turns, memory_users
from meliora.store.tables.routing import (
    model_choices,
    preference_interactions,
    preference_resets,
    preference_tables,
    routing_outcomes,
    routing_rules,
    routing_scores,
    routing_snapshots,
)
from meliora.store.tables.running import activity_log, deployment, erasures, gateways, spool_segments
from meliora.store.tables.searches import search_feedback, searches

__all__ = [
    "activity_log",
    "alert_outbox",
    "alerts",
    "approvals",
    "audit_entries",
    "audit_head",
    "augmented_datasets",
    "augmented_examples",
    "augmented_people",
    "budget_leases",
    "budget_usage",
    "call_contents",
    "call_slots",
    "calls",
    "change_edges",
    "change_holds",
    "changes",
    "cycles",
    "deployment",
    "erasures",
    "feature_flags",
    "feedback",
    "feedback_history",
    "findings",
    "gate_readings",
    "gates",
    "gateways",
    "index_files",
    "index_generations",
    "index_passages",
    "index_postings",
    "index_states",
    "judgment_sets",
    "judgments",
    "key_hashes",
    "keys",
    "knowledge_archived",
    "knowledge_artifacts",
    "knowledge_collections",
    "knowledge_comparisons",
    "knowledge_deletions",
    "knowledge_documents",
    "knowledge_doubles",
    "knowledge_pairs",
    "knowledge_snapshots",
    "learning_events",
    "loop_control",
    "loop_processes",
    "memory_conversations",
    "memory_summaries",
    "memory_turns",
    "memory_users",
    "metadata",
    "model_choices",
    "model_performance",
    "performance_metrics",
    "policy_bundles",
    "preference_interactions",
    "preference_resets",
    "preference_tables",
    "rollup_days",
    "rollup_windows",
    "rollups",
    "routing_outcomes",
    "routing_rules",
    "routing_scores",
    "routing_snapshots",
    "search_feedback",
    "searches",
    "shadow_calls",
    "spool_segments",
    "trial_stages",
    "trials",
    "triggers",
    "usage_daily",
    "usage_gateways",
    "usage_users",
]
