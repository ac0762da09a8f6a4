"""Who is in which arm: a salted hash of the unit, the same in every gateway and process, without memory. Draws nothing.

The bucket of a unit is the first eight bytes of SHA-256 as a share of 2^64; it has the overlay while its bucket is below the
trial's share. So a share that grows moves units one way only, and trials with different salts split independently
(Kohavi, Tang, Xu: Trustworthy Online Controlled Experiments, 2020, chapter 14).
"""

from __future__ import annotations

from hashlib import sha256

from meliora.gateway.state import Unit

_WHOLE = 1 << 64


class Split:
    """The split of one trial at one share. `overlaid` and `unit_id` are read of the same hash."""

    __slots__ = ("_below", "_salt", "_unit")

    def __init__(self, salt: str, unit: Unit, share: float) -> None:
        """Take a share from 0 (nobody) to 1 (everybody); what lies outside, or is no number, is nobody or everybody."""
        self._salt = f"{salt}\0"
        self._unit = unit
        # Whole numbers: a bucket as a float may round up to 1, and be outside of everybody.
        self._below = int(min(1.0, share) * _WHOLE) if share > 0 else 0

    def of(self, user: str | None, session: str | None, key: str) -> tuple[bool, str]:
        """Say whether a call gets the overlay, and give the name under which its unit is recorded.

        The unit is the user, else the session, else the key, beginning with the kind that the trial randomises. Its recorded name
        begins with `u`, `s` or `k` for its kind; the rest is a hash with the trial's salt, so that it tells nothing outside it.
        """
        if user and self._unit == "user":
            kind, named = "u", user
        elif session and self._unit != "key":
            kind, named = "s", session
        else:
            kind, named = "k", key
        digest = sha256(f"{self._salt}{kind}\0{named}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") < self._below, kind + digest[8:16].hex()
