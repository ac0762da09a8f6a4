"""Overlays as the gateway reads them."""

from __future__ import annotations

from typing import Any

import msgspec

from meliora.gateway.state import Overlay


def decode(overlay: dict[str, Any]) -> Overlay:
    """Read an overlay; a name that the gateway does not know is an error here."""
    found = msgspec.convert(overlay, Overlay)
    assert msgspec.json.decode(msgspec.json.encode(found)) == overlay, "something of it was not read"
    return found
