"""Meliora: the loop that makes an LLM application better, and proves each step.

The planes (`gateway`, `routing`, `knowledge`) serve; `telemetry` says what happened; `store` keeps it; `server` and `cli` show it.
`runtime` is the only module that knows everybody. For an application's own FastAPI app there are `create_knowledge_router`,
`create_diagnosis_router`, `create_optimization_router` and `create_capabilities_router`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meliora.runtime.mount import (
        create_capabilities_router,
        create_diagnosis_router,
        create_knowledge_router,
        create_optimization_router,
    )

__version__ = "0.1.0"
__all__ = [
    "create_capabilities_router",
    "create_diagnosis_router",
    "create_knowledge_router",
    "create_optimization_router",
]


def __getattr__(name: str) -> Any:
    """Give a router's maker; what it takes is imported only then."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # By name: whoever imports `meliora` for its version does not depend on all of it.
    return getattr(import_module("meliora.runtime.mount"), name)
