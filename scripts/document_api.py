"""Write docs/api.md from the routes of the control process, or fail where it is not current (`--check`)."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import Any

from meliora.server.app import _ROUTERS as ROUTERS

TARGET = Path(__file__).parents[1] / "docs" / "api.md"

HEAD = """# HTTP API

<!-- Written by `python scripts/document_api.py`; change src/meliora/server/ instead. -->

Everything is on the one port. A key goes into `authorization: Bearer KEY` or `x-api-key: KEY`; the tenant comes from the key, and
nothing of another tenant can be seen. `GET /docs` shows the same with every field, `GET /openapi.json` for programs.
Times are microseconds since the epoch (UTC) where a name ends in `_us`, money is micro-dollars where it ends in `_micros`;
null means not known, and is never zero.

## Model calls

Served by the gateway itself, with the store away or not.

| route | meaning |
|---|---|
| `POST /v1/chat/completions` | OpenAI chat completions |
| `POST /v1/responses` | OpenAI responses |
| `POST /v1/embeddings` | OpenAI embeddings |
| `POST /v1/messages` | Anthropic messages |
| `POST /v1/messages/count_tokens` | Anthropic token counts |
| `GET /v1/models` | The models this key may use |
| `GET /v1/models/{model}` | One of them |
| `GET /metrics` | Everything as numbers, for Prometheus |
"""


def routes() -> list[Any]:
    """Give every public route of the control process."""
    found = [route for module in ROUTERS for route in module.router.routes]
    return [route for route in found if not route.path.startswith("/internal")]


def document() -> str:
    """Give docs/api.md."""
    parts = [HEAD]
    for subject, group in groupby(routes(), key=_subject):
        rows = [
            f"| `{method} {route.path}` | {_meaning(route)} |" for route in group for method in sorted(route.methods)
        ]
        parts.append("\n".join([f"## {subject}", "", "| route | meaning |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


def _subject(route: Any) -> str:
    return route.endpoint.__module__.rpartition(".")[2].replace("_", " ").capitalize()


def _meaning(route: Any) -> str:
    return " ".join((route.endpoint.__doc__ or "").split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write, or check with `--check`."""
    text = document()
    if "--check" not in arguments:
        TARGET.write_text(text, encoding="utf-8")
    elif not TARGET.is_file() or TARGET.read_text(encoding="utf-8") != text:
        print("docs/api.md is not current. Run: python scripts/document_api.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
