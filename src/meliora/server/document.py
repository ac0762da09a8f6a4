"""`docs/api.md`, written from the routes themselves: `python -m meliora.server.document docs/api.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meliora import __version__
from meliora.server.app import bare_app

_METHODS = ("get", "post", "put", "patch", "delete")
_HEAD = """# The HTTP API

<!-- Written by `python -m meliora.server.document docs/api.md`; a test holds it to the routes. -->

{about}

The same, to read and to try, is at `/docs` of every running Meliora; the OpenAPI document is `/openapi.json`. Model calls
(`/v1/...`) are described in [the gateway's reference](gateway.md).

Every failure has one shape, and `field` names what is at fault where something is:

```json
{{"error": {{"code": "invalid_request", "message": "limit: Input should be less than or equal to 500", "hint": null, "field": "limit"}}}}
```

400 a value is not well-formed or out of range; 401 the key is missing, unknown, expired or revoked; 403 it lacks the scope;
404 there is no such thing, or it belongs to another tenant; 409 it contradicts what is there; 413 the body is over 2 MB;
503 the store is away. Lists come in pages: `next` of one page is the `cursor` of the following one. A change of a key or a
rule is in force in every gateway within two seconds.
"""


def as_markdown(api: dict[str, Any]) -> str:
    """Write a reference of an OpenAPI document: a section a subject, a table a route."""
    lines = [_HEAD.format(about=api["info"]["description"])]
    for tag in api["tags"]:
        lines.append(f"## {tag['name'].capitalize()}\n\n{tag['description']}\n")
        for path, operations in api["paths"].items():
            for method in _METHODS:
                operation = operations.get(method)
                if operation is not None and tag["name"] in operation["tags"]:
                    lines.extend(_route(api, path, method, operation))
    return "\n".join(lines).rstrip() + "\n"


def _route(api: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"### `{method.upper()} {path}`\n"
    yield operation.get("description", "").strip() + "\n"
    scopes = sorted({scope for one in operation.get("security", ()) for names in one.values() for scope in names})
    gives = next(status for status in operation["responses"] if status.startswith("2"))
    shape = _type(operation["responses"][gives]["content"]["application/json"]["schema"])
    needs = f"Scope `{scopes[0]}`. " if scopes else "No key. "
    yield f"{needs}Gives {gives} `{shape}`.\n"
    rows = [
        _row(one["name"], one.get("required", False), one["schema"], one.get("description", ""))
        for one in operation.get("parameters", ())
        if one["in"] != "header"
    ]
    body = operation.get("requestBody")
    if body is not None:
        schema = _resolved(api, body["content"]["application/json"]["schema"])
        rows.extend(_fields(api, schema))
    if rows:
        yield "| name | type | default | |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _fields(api: dict[str, Any], schema: dict[str, Any], within: str = "") -> Iterator[str]:
    """Give a row a field of a body; below a list of objects the fields of one, as `list[].field`."""
    required = schema.get("required", ())
    for name, one in schema["properties"].items():
        yield _row(f"{within}{name}", name in required, one, one.get("description", ""))
        items = one.get("items")
        entry = _resolved(api, items) if isinstance(items, dict) else {}
        if "properties" in entry:
            yield from _fields(api, entry, f"{within}{name}[].")


def _row(name: str, required: bool, schema: dict[str, Any], about: str) -> str:
    default = "required" if required else _shown(schema.get("default"))
    text = (about or schema.get("description", "")).replace("|", "\\|").replace("\n", " ")
    return f"| `{name}` | {_type(schema)} | {default} | {text} |"


def _shown(value: Any) -> str:
    return "" if value is None else f"`{value}`"


def _resolved(api: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    named = next((one for one in (schema, *schema.get("anyOf", ())) if "$ref" in one), None)
    return schema if named is None else api["components"]["schemas"][named["$ref"].rpartition("/")[2]]


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2].replace("_", " ").strip()
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"] if one.get("type") != "null")
    if schema.get("type") == "array":
        items = schema.get("items")
        return f"list of {_type(items)}" if isinstance(items, dict) else "list"
    return schema.get("format") or schema.get("type", "any")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(as_markdown(bare_app(__version__).openapi()), encoding="utf-8")
