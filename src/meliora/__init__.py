"""Meliora: the loop that makes an LLM application better, and proves each step.

The planes (`gateway`, `routing`) serve; `telemetry` says what happened; `store` keeps it; `server` and `cli` show it.
`runtime` is the only module that knows everybody.
"""

__version__ = "0.1.0"
