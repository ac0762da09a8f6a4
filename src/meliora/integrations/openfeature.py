"""Feature flags by way of OpenFeature: a provider for applications that ask through its SDK. Needs the extra `openfeature`.

Flags are truth values; asked for another type, they answer with the fields `on` and `off` of their metadata.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from meliora.errors import MissingExtra, NotFound
from meliora.loop.flags import Flag, FlagAnswer, evaluate

if TYPE_CHECKING:
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.flag_evaluation import FlagResolutionDetails
    from openfeature.provider import AbstractProvider

_REASONS = {
    "disabled": "DISABLED",
    "condition": "TARGETING_MATCH",
    "rollout": "SPLIT",
    "everybody": "STATIC",
    "no_unit": "DEFAULT",
}


def provider(find: Callable[[str], Flag], salt: str) -> AbstractProvider:
    """Give a provider over the flags that `find` knows by name, or raises `NotFound` for. Raises `MissingExtra` without the SDK.

    `find` is asked at each evaluation: hand in one that remembers, where the store is far. The unit is the targeting key.
    """
    try:
        from openfeature.exception import FlagNotFoundError, TypeMismatchError
        from openfeature.flag_evaluation import FlagResolutionDetails, Reason
        from openfeature.provider import AbstractProvider, Metadata
    except ImportError as error:
        raise MissingExtra("OpenFeature needs its SDK.", hint="pip install 'meliora[openfeature]'") from error

    def details(
        name: str, context: EvaluationContext | None, value_of: Callable[[Flag, FlagAnswer], Any]
    ) -> FlagResolutionDetails[Any]:
        try:
            flag = find(name)
        except NotFound as error:
            raise FlagNotFoundError(error.message) from error
        unit = None if context is None else context.targeting_key or None
        attributes = {} if context is None else dict(context.attributes)
        answer = evaluate(flag, unit, attributes, salt)
        return FlagResolutionDetails(
            value=value_of(flag, answer), variant="on" if answer.on else "off", reason=Reason(_REASONS[answer.reason])
        )

    def typed(*kinds: type) -> Callable[[Flag, FlagAnswer], Any]:
        def value_of(flag: Flag, answer: FlagAnswer) -> Any:
            name = "on" if answer.on else "off"
            value = flag.metadata.get(name)
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise TypeMismatchError(f"The metadata of flag {flag.name!r} has no {name!r} of the type asked for.")
            return value

        return value_of

    class MeliorasFlags(AbstractProvider):
        def get_metadata(self) -> Metadata:
            return Metadata(name="meliora")

        def resolve_boolean_details(
            self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
        ) -> FlagResolutionDetails[bool]:
            return details(flag_key, evaluation_context, lambda _, answer: answer.on)

        def resolve_string_details(
            self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
        ) -> FlagResolutionDetails[str]:
            return details(flag_key, evaluation_context, typed(str))

        def resolve_integer_details(
            self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
        ) -> FlagResolutionDetails[int]:
            return details(flag_key, evaluation_context, typed(int))

        def resolve_float_details(
            self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
        ) -> FlagResolutionDetails[float]:
            return details(flag_key, evaluation_context, typed(int, float))

        def resolve_object_details(
            self, flag_key: str, default_value: Any, evaluation_context: EvaluationContext | None = None
        ) -> FlagResolutionDetails[Any]:
            return details(flag_key, evaluation_context, typed(dict, list))

    return MeliorasFlags()
