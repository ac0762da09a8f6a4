"""Fail where a function, method, class, property or import is used by nobody, or code cannot be reached.

Attributes and fields are left out: records are written for those who read them outside.
"""

from __future__ import annotations

import sys
from pathlib import Path

from vulture import Vulture

ROOT = Path(__file__).parents[1]
KINDS = {"function", "method", "class", "property", "import", "unreachable_code"}
DECORATORS = [
    "@app.*",
    "@serve.*",
    "@bring.*",
    "@router.*",
    "@model_validator*",
    "@field_validator*",
    "@sa.event*",
    "@event.*",
    "@both",
    "@judgments.*",
]

ALLOWED = {
    # called by asyncio, uvicorn and httptools
    "connection_made",
    "connection_lost",
    "data_received",
    "eof_received",
    "pause_writing",
    "resume_writing",
    "on_*",
    # called by http.client and io
    "makefile",
    "readable",
    "readinto",
    # public: for programs that serve the gateway themselves
    "build_gateway",
    # the improvement manager of the documents, for those who call it as a library
    "initialize_tables",
    # the preference tracker of the documents, likewise
    "track_feedback",
    "get_preferred_model",
    "get_preferred_settings",
    "get_preferences",
    "predict_next_activity",
    # called by uvicorn
    "shutdown",
    # statistics of trials and gates, for the loop
    "adjusted",
    "alarm_z",
    "benjamini_hochberg",
    "burn",
    "change_points",
    "design_effect",
    "difference_bounds",
    "e_bh",
    "e_lond",
    "lord",
    "mean_bound",
    "mean_change",
    "mismatch",
    "quantile_bound",
    "quantile_change",
    "reading_from_json",
    "reading_to_json",
    "share_bound",
    "share_change",
    # from a breach to a finding, and all changes of a series: for the loop's gates
    "diagnose",
    # called by the OpenFeature SDK
    "get_metadata",
    "resolve_*_details",
    # called by Python: an object that is a function, a module's names on demand; and by html.parser
    "__call__",
    "__getattr__",
    "handle_starttag",
    "handle_startendtag",
    "handle_endtag",
    "handle_data",
    # for those who train elsewhere: a data set's configuration and run in H2O LLM Studio, and its table read back
    "H2oLlmStudio",
    "tuning",
    "Trainer",
    "from_cell",
    # for those who make judgment sets of what people clicked, or read a running Qdrant
    "from_clicks",
    "from_pairs",
    "read_qdrant",
    "unknown_share",
    # kept for a process that comes later: states of documents, summaries that cost a model call
    "set_state",
    "keep_summary",
    "summaries",
    # tells whether a simulated answer was right, for those who try routing out on it
    "grade",
}
PUBLIC = ("src/meliora/testing/",)
"""Shipped for other people's tests: used by nobody here is no fault."""


def main() -> int:
    """Print what nobody uses; give 1 where there is any."""
    scanner = Vulture(ignore_names=sorted(ALLOWED), ignore_decorators=DECORATORS)
    scanner.scavenge([str(ROOT / name) for name in ("src", "benchmarks", "scripts")])
    found = [
        f"{name}:{item.first_lineno}: {item.typ.replace('_', ' ')} {item.name!r} is used by nobody"
        for item in scanner.get_unused_code(min_confidence=60)
        if item.typ in KINDS
        and not (name := Path(item.filename).resolve().relative_to(ROOT).as_posix()).startswith(PUBLIC)
    ]
    print("\n".join(found) or "No dead code.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
