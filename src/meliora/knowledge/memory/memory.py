"""Conversation memory: what is appended is on the shelf first; recall and windows are derived from it. It never acts on what was said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from meliora.clock import Clock
from meliora.errors import InvalidRequest, MelioraError, NotFound
from meliora.knowledge.documents import Mark
from meliora.knowledge.memory.recall import Recall
from meliora.knowledge.memory.records import LONGEST, Appended, Conversation, Said
from meliora.knowledge.memory.shelf import TurnShelf
from meliora.knowledge.memory.summary import ExtractiveSummarizer, Summarizer
from meliora.knowledge.memory.wanted import Recalled, Wanted
from meliora.knowledge.memory.window import ConversationWindow, Windows

MOST = 1000
"""Turns of one append."""
LONGEST_NAME = 200
"""Characters of an id, a speaker, a user or a session."""
FAR_US = 253_402_300_800_000_000
"""The year 10000, and as far before 1970: times beyond are refused."""
_PAGE = 1000


def unmarked(text: str) -> tuple[Mark, ...]:
    """Notice nothing."""
    return ()


class Memory:
    """Conversations of a deployment. Safe to use from several threads."""

    def __init__(
        self,
        shelf: TurnShelf,
        clock: Clock,
        *,
        recall: Recall | None = None,
        summarizer: Summarizer | None = None,
        marks: Callable[[str], Sequence[Mark]] = unmarked,
        erasers: Mapping[str, Callable[[str, str], int]] | None = None,
    ) -> None:
        """Take what it stands on. `marks` looks at each text; `erasers` delete what others derived of a user, and give how much."""
        self._shelf = shelf
        self._clock = clock
        self._recall = recall or Recall(shelf)
        self._windows = Windows(shelf, summarizer or ExtractiveSummarizer())
        self._marks = marks
        self._erasers = dict(erasers or {})

    def append(self, tenant: str, conversation: str, turns: Sequence[Said]) -> Appended:
        """Keep turns at the end of a conversation, durably; a message that is there already is not kept again.

        Raises `InvalidRequest`, and `Conflict` for another user's conversation.
        """
        _check_name("conversation", conversation, empty=False)
        if len(turns) > MOST:
            raise InvalidRequest(f"{len(turns)} turns are too many for one append; {MOST} are taken.", field="turns")
        for at, said in enumerate(turns):
            _check(at, said)
        marked = [msgspec.structs.replace(said, marks=tuple(self._marks(said.text))) for said in turns]
        return self._shelf.append(tenant, conversation, marked, self._clock.now_us())

    def recall(
        self,
        tenant: str,
        query: str,
        *,
        user: str | None = None,
        conversation: str | None = None,
        speaker: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
        limit: int = 10,
    ) -> Recalled:
        """Give the turns and sessions that answer a query, out of a user's conversations, or out of one conversation.

        With neither, out of those that belong to nobody: one user's turns are never given for another. `since_us` is included, `until_us`
        is not. Raises `NotFound` where the tenant, or the user who is named too, has no such conversation; `InvalidRequest`.
        """
        if conversation is not None:
            owner = self._shelf.conversation(tenant, conversation).user
            if user is not None and user != owner:
                raise NotFound(f"There is no conversation {conversation!r}.", field="conversation")
            user = owner
        wanted = Wanted(
            query=query,
            user=user or "",
            conversation=conversation,
            speaker=speaker,
            since_us=since_us,
            until_us=until_us,
            limit=limit,
        )
        return self._recall.recall(tenant, wanted, self._clock.now_us())

    def window(self, tenant: str, conversation: str, budget_tokens: int) -> ConversationWindow:
        """Give a conversation within a budget: a summary, and its last turns verbatim. Raises `NotFound`, `InvalidRequest`."""
        return self._windows.window(tenant, conversation, budget_tokens)

    def export(self, tenant: str, user: str) -> Iterator[dict[str, Any]]:
        """Give every turn of a user's conversations, by conversation and number."""
        for about in self._conversations(tenant, user):
            first = 1
            while page := self._shelf.read(tenant, about.id, first=first, limit=_PAGE):
                yield from (msgspec.to_builtins(turn) for turn in page)
                first = page[-1].number + 1

    def erase(self, tenant: str, user: str) -> dict[str, int]:
        """Delete a user's conversations, and all that was derived of them; give what was deleted, by kind.

        Every eraser is asked though another fails; then it raises, naming those that did. To erase again is safe.
        """
        conversations = [about.id for about in self._conversations(tenant, user)]
        erased = self._shelf.erase(tenant, user)
        counts = {"conversations": erased.conversations, "turns": erased.turns}
        counts["indexed"] = self._recall.forget(tenant, user)
        counts["summaries"] = self._windows.forget(tenant, conversations)
        failed: dict[str, str] = {}
        for name, eraser in self._erasers.items():
            try:
                counts[name] = eraser(tenant, user)
            except Exception as error:  # noqa: BLE001 - the others must still be asked; it is raised below
                failed[name] = f"{type(error).__name__}: {error}"
        if failed:
            told = "; ".join(f"{name} ({reason})" for name, reason in failed.items())
            raise MelioraError(
                f"The turns are erased, but not all that was derived of them: {told}.", hint="Erase again."
            )
        return counts

    def _conversations(self, tenant: str, user: str) -> Iterator[Conversation]:
        after = ""
        while page := self._shelf.conversations(tenant, user, after=after):
            yield from page
            after = page[-1].id


def _check(at: int, said: Said) -> None:
    for name in ("speaker", "user", "session", "message"):
        _check_name(f"turns.{at}.{name}", getattr(said, name), empty=name != "speaker")
    if len(said.text) > LONGEST:
        raise InvalidRequest(f"A turn has {len(said.text)} characters; {LONGEST} are kept.", field=f"turns.{at}.text")
    if said.at_us is not None and abs(said.at_us) > FAR_US:
        raise InvalidRequest(f"{said.at_us} is no time in microseconds since 1970.", field=f"turns.{at}.at_us")
    try:
        said.text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest("A turn has half a character (a lone surrogate).", field=f"turns.{at}.text") from error


def _check_name(field: str, name: str, *, empty: bool) -> None:
    if (
        (not name and not empty)
        or len(name) > LONGEST_NAME
        or any(ord(one) < 32 or 0xD800 <= ord(one) <= 0xDFFF for one in name)
    ):
        least = 0 if empty else 1
        raise InvalidRequest(f"{field} is not a word of {least} to {LONGEST_NAME} characters.", field=field)
