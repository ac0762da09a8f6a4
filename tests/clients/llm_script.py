"""Run by `test_llm.py` with the older clients: asks through the Python API of `llm`, and writes what it got as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import llm  # pyright: ignore[reportMissingImports]


def get_weather(city: str) -> str:
    """Give the weather of a city."""
    return f"17 degrees in {city}"


async def ask_async(name: str) -> str:
    """Ask the model's async side."""
    response = llm.get_async_model(name).prompt("What is 2+2?")
    return "".join([piece async for piece in response])


def ask(name: str) -> dict[str, Any]:
    """Ask whole, streamed, with a tool and with a schema."""
    model = llm.get_model(name)
    streamed = model.prompt("Count to 5")
    pieces = list(streamed)
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    usage = streamed.usage()
    return {
        "whole": model.prompt("What is 2+2?", stream=False).text(),
        "async": asyncio.run(ask_async(name)),
        "pieces": len(pieces),
        "streamed": "".join(pieces),
        "usage": [usage.input, usage.output],
        "tool": model.chain("Use get_weather for Paris", tools=[get_weather]).text(),
        "schema": json.loads(model.prompt("Tell me of Rome", schema=schema).text()),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps([ask(name) for name in sys.argv[1:]]))
