"""Look into the part of the spool that is not ingested yet, for calls that an application names by its own id."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from meliora.telemetry.records import CallFinished, Record
from meliora.telemetry.spool import SpoolReader

_CHUNK = 4 * 1024 * 1024
_MOST = 256 * 1024 * 1024


class Pending:
    """Find calls in this machine's spool. Normally it holds half a second's worth; at most 256 MB of it are searched."""

    def __init__(self, reader: SpoolReader, offsets: Callable[[], dict[str, int]]) -> None:
        self._reader = reader
        self._offsets = offsets

    def find(self, tenant: str, *, message_id: str | None, response_id: str | None) -> str | None:
        """Give the id of the newest finished call of the tenant with this message or response id, or None."""
        field, wanted = ("message_id", message_id) if message_id is not None else ("response_id", response_id)
        if wanted is None:
            return None
        needle = b'"%s":%s' % (field.encode(), msgspec.json.encode(wanted))
        found: CallFinished | None = None
        for payload in self._payloads():
            if needle not in payload:
                continue
            try:
                record = msgspec.json.decode(payload, type=Record)
            except (msgspec.MsgspecError, UnicodeError):
                continue
            if isinstance(record, CallFinished) and record.tenant == tenant and getattr(record, field) == wanted:
                found = record if found is None or record.started_us >= found.started_us else found
        return None if found is None else found.id

    def _payloads(self) -> Iterator[bytes]:
        offsets = self._offsets()
        looked = 0
        for segment in self._reader.segments():
            offset = offsets.get(segment, 0)
            while looked < _MOST:
                chunk = self._reader.read(segment, offset, _CHUNK)
                if chunk.end == offset:
                    break
                yield from chunk.payloads
                looked += chunk.end - offset
                offset = chunk.end
