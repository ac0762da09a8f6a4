"""Routing rules: the patterns that decide before the classifier does."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter
from pydantic import Field

from meliora.gateway.state import RuleState
from meliora.routing.rules import PATTERN_CHARS, RuleSet, validate_pattern
from meliora.server.again import Again, repeatable
from meliora.server.auth import AdminCaller, HereControl, ReadCaller
from meliora.server.inputs import Body, JsonObject, Name
from meliora.server.shapes import Answer, says
from meliora.settings.models import Tier
from meliora.store.routing.rules import AppliesTo, Rule, RuleWish

router = APIRouter(prefix="/api/v1/rules", tags=["rules"], route_class=Again)

Pattern = Annotated[
    str, Field(min_length=1, max_length=PATTERN_CHARS, description="RE2, searched in the prompt's text.")
]
_INT = 2**31


class RuleFields(Body):
    """A rule. At least one of layer and model."""

    pattern: Pattern
    preferred_layer: Tier | None = None
    preferred_model: Name | None = None
    priority: Annotated[int, Field(gt=-_INT, lt=_INT)] = Field(default=0, description="Higher is looked at first.")
    active: bool = True
    applies_to: AppliesTo = Field(default="auto", description="`all`: also calls that name a model.")
    metadata: JsonObject = Field(default={}, description="Anything worth keeping with it.")

    def wish(self) -> RuleWish:
        """Give what the store is asked for. Raises `InvalidRequest` for a pattern that does not compile."""
        validate_pattern(self.pattern)
        return RuleWish(**self.model_dump())


class Order(Body):
    """Ids of rules, the one to try first in front."""

    ids: Annotated[list[Name], Field(min_length=1, max_length=1000)]


class Try(Body):
    """A pattern and a text to search; without a pattern the tenant's own rules are tried."""

    text: Annotated[str, Field(max_length=256 * 1024)]
    pattern: Pattern | None = None
    applies_to: AppliesTo = "auto"


class RuleList(msgspec.Struct, frozen=True):
    """Rules in the order they are tried. Rules of the settings file are not among them."""

    items: tuple[Rule, ...]


class Tried(msgspec.Struct, frozen=True):
    """Whether something matched; `rule_id` of the tenant's rule that did, where no pattern was given."""

    matches: bool
    rule_id: str | None = None


class Deleted(msgspec.Struct, frozen=True):
    """What is gone."""

    deleted: str


@router.get("", **says(RuleList))
def listed(caller: ReadCaller, control: HereControl, active_only: bool = False) -> Answer:
    """List the rules in the order they are tried."""
    return Answer(RuleList(control.store.rules.list(caller.tenant, active_only=active_only)))


@router.post("", **says(Rule, status=201))
def create(fields: RuleFields, caller: AdminCaller, control: HereControl) -> Answer:
    """Make a rule; one of the same pattern becomes what is given here."""
    rule = control.store.rules.upsert(caller.tenant, fields.wish())
    control.changed(caller.tenant, caller.key_id, "rule.set", rule.id, {"pattern": rule.pattern})
    return Answer(rule, status_code=201)


@router.post("/reorder", **says(RuleList, 404))
def reorder(order: Order, caller: AdminCaller, control: HereControl) -> Answer:
    """Give these rules descending priorities in this order, above all others."""
    rules = control.store.rules.reorder(caller.tenant, order.ids)
    control.changed(caller.tenant, caller.key_id, "rule.reorder", "", {"ids": order.ids})
    return Answer(RuleList(rules))


@router.post("/test", **says(Tried))
@repeatable
def test(trial: Try, caller: ReadCaller, control: HereControl) -> Answer:
    """Search a text, with a pattern or with the rules that stand. Changes nothing."""
    if trial.pattern is None:
        rules = control.feed.rules()
    else:
        validate_pattern(trial.pattern)
        rules = RuleSet([RuleState("tried", caller.tenant, trial.pattern, preferred_layer="fast", applies_to="all")])
    found = rules.match(caller.tenant, trial.text, "named" if trial.applies_to == "all" else "auto")
    return Answer(Tried(found is not None, found.id if found is not None and trial.pattern is None else None))


@router.get("/{rule_id}", **says(Rule, 404))
def show(rule_id: str, caller: ReadCaller, control: HereControl) -> Answer:
    """Show a rule."""
    return Answer(control.store.rules.get(caller.tenant, rule_id))


@router.put("/{rule_id}", **says(Rule, 404, 409))
def replace(rule_id: str, fields: RuleFields, caller: AdminCaller, control: HereControl) -> Answer:
    """Replace a rule under its id."""
    rule = control.store.rules.change(caller.tenant, rule_id, fields.wish())
    control.changed(caller.tenant, caller.key_id, "rule.set", rule_id, {"pattern": rule.pattern})
    return Answer(rule)


@router.delete("/{rule_id}", **says(Deleted, 404))
def delete(rule_id: str, caller: AdminCaller, control: HereControl) -> Answer:
    """Remove a rule."""
    control.store.rules.delete(caller.tenant, rule_id)
    control.changed(caller.tenant, caller.key_id, "rule.delete", rule_id)
    return Answer(Deleted(rule_id))
