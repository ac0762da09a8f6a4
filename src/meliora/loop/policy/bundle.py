"""A set of policies as text: those that come with Meliora, and a directory of the user's. Checked before it is used, never run here.

A user's policies may only forbid, which makes the set stronger; where the settings say so they replace the whole set instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import msgspec

from meliora.errors import Problem

OWN = ("common.cedar", "dev.cedar", "staging.cedar", "production.cedar")
_FOLDER = Path(__file__).with_name("rules")
_LARGEST = 1024 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}\Z")


class PolicyFile(msgspec.Struct, frozen=True):
    """A file of policies."""

    name: str
    text: str
    own: bool
    """It came with Meliora."""


class PolicyRule(msgspec.Struct, frozen=True, kw_only=True):
    """One policy: where it stands, and what its annotations say."""

    id: str
    where: str
    """`FILE:LINE`."""
    effect: Literal["permit", "forbid"]
    needs: str = ""
    """`approval`: what it forbids is allowed once a person approves."""
    reason: str = ""


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides: schema and files. Two bundles of one hash decide alike."""

    schema: str
    files: tuple[PolicyFile, ...]
    replaced: bool = False
    unreadable: tuple[str, ...] = ()
    """What of the user's directory could not be read, in sentences."""

    @property
    def text(self) -> str:
        """Give it as one text, to be kept."""
        return msgspec.json.encode(self, order="sorted").decode()

    @property
    def sha256(self) -> str:
        """Give the hash of its text."""
        return sha256(self.text.encode()).hexdigest()


def own() -> Bundle:
    """Give the policies that come with Meliora."""
    files = tuple(PolicyFile(name, (_FOLDER / name).read_text(encoding="utf-8"), True) for name in OWN)
    return Bundle(schema=(_FOLDER / "meliora.cedarschema").read_text(encoding="utf-8"), files=files)


def with_directory(directory: Path | None, *, replace: bool = False) -> Bundle:
    """Add the `*.cedar` files of a directory, or let them replace the rest. What cannot be read is noted, and denies."""
    base = own()
    if directory is None:
        return base
    files: list[PolicyFile] = [] if replace else list(base.files)
    unreadable: list[str] = []
    try:
        names = sorted(path for path in directory.iterdir() if path.suffix == ".cedar")
    except OSError as error:
        return msgspec.structs.replace(base, unreadable=(f"{directory} cannot be read: {error.strerror}.",))
    for path in names:
        try:
            data = path.read_bytes()
            if len(data) > _LARGEST:
                unreadable.append(f"{path.name} is larger than {_LARGEST} bytes.")
                continue
            files.append(PolicyFile(path.name, data.decode(), False))
        except OSError as error:
            unreadable.append(f"{path.name} cannot be read: {error.strerror}.")
        except UnicodeDecodeError:
            unreadable.append(f"{path.name} is not UTF-8.")
    if replace and not files and not unreadable:
        unreadable.append(f"{directory} has no .cedar file, and is to replace all policies.")
    return msgspec.structs.replace(base, files=tuple(files), replaced=replace, unreadable=tuple(unreadable))


def read_bundle(text: str) -> Bundle:
    """Give back what `Bundle.text` wrote. Raises `ValueError` for anything else."""
    return msgspec.json.decode(text, type=Bundle)


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found. With problems there is nothing to ask."""

    text: str
    """All policies in one, in the order of `rules`."""
    rules: tuple[PolicyRule, ...]
    problems: tuple[Problem, ...]


@lru_cache(maxsize=16)
def check(bundle: Bundle) -> Checked:
    """Parse every policy, hold it against the schema and the rules for the user's own; say all that is wrong, with file and line."""
    problems = [Problem("loop.policies", sentence) for sentence in bundle.unreadable]
    rules: list[PolicyRule] = []
    texts: list[str] = []
    for file in bundle.files:
        for line, statement in statements(file.text):
            where = f"{file.name}:{line}"
            rule, wrong = _one(statement, where, bundle.schema, may_permit=file.own or bundle.replaced)
            problems.extend(wrong)
            if rule is None:
                continue
            twin = next((known for known in rules if known.id == rule.id), None)
            if twin is not None:
                problems.append(Problem(where, f"The id {rule.id!r} is taken by {twin.where}.", "Choose another."))
            rules.append(rule)
            texts.append(statement)
    return Checked(text="\n".join(texts), rules=tuple(rules), problems=tuple(problems))


def _one(statement: str, where: str, schema: str, *, may_permit: bool) -> tuple[PolicyRule | None, list[Problem]]:
    import cedarpy

    try:
        parsed: dict[str, Any] = msgspec.json.decode(cedarpy.policies_to_json_str(statement))
    except ValueError as error:
        return None, [Problem(where, f"This policy does not parse: {error}.")]
    if parsed["templates"] or len(parsed["staticPolicies"]) != 1:
        return None, [
            Problem(where, "Templates are not used here.", "Write a policy without ?principal and ?resource.")
        ]
    (policy,) = parsed["staticPolicies"].values()
    notes = policy.get("annotations", {})
    rule = PolicyRule(
        id=notes.get("id") or "",
        where=where,
        effect=policy["effect"],
        needs=notes.get("needs") or "",
        reason=notes.get("reason") or "",
    )
    problems = []
    if not _NAME.match(rule.id):
        what = f"The id {rule.id!r} is not one." if rule.id else "This policy has no id."
        problems.append(Problem(where, what, 'Write @id("a-name") above it: small letters, digits, `-`, `_`, `.`.'))
    if rule.needs not in ("", "approval") or (rule.needs and rule.effect == "permit"):
        problems.append(Problem(where, f"@needs({rule.needs!r}) is not known here.", '@needs("approval") on a forbid.'))
    if rule.effect == "permit" and not may_permit:
        problems.append(
            Problem(
                where,
                "This policy permits, and a policy of your own may only forbid.",
                "Set `loop.replace_policies` to replace the whole set.",
            )
        )
    problems += [
        Problem(where, f"{error.error.replace('for policy `policy0`, ', '')}.")
        for error in cedarpy.validate_policies(statement, schema).errors
    ]
    return rule, problems


def statements(text: str) -> Iterator[tuple[int, str]]:
    """Cut a file into its policies, each with the line it begins at; what is not ended comes last, as it stands."""
    line = begin = 1
    start = at = 0
    blank = True
    for match in _PIECE.finditer(text):
        piece = match[0]
        if blank and not piece.isspace() and not piece.startswith("//"):
            blank, begin, start = False, line, match.start()
        line += piece.count("\n")
        at = match.end()
        if piece == ";":
            yield begin, text[start:at]
            blank = True
    if not blank:
        yield begin, text[start:]


_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"?|//[^\n]*|\s+|;|[^\s;"/]+|/', re.DOTALL)
