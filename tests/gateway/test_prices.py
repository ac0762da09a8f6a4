"""Prices: unknown is None and never zero; the price list is asked in a child process, once."""

import subprocess
import sys
from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.gateway.prices import Found, Rates, Resolved, cost_micros, in_child, lookup, resolve
from meliora.settings.models import Price, Settings
from meliora.telemetry.records import Usage

TODAY = date(2026, 11, 21)
FULL = Rates(3.0, 15.0, 0.3, 3.75)


def settings(tmp_path, **more) -> Settings:
    return Settings.model_validate(
        {
            "server": {"state_dir": tmp_path},
            "providers": {
                "openai": {"base_url": "https://api.openai.com/v1", "models": ["gpt-5"]},
                "claude": {"kind": "anthropic", "base_url": "https://api.anthropic.com/v1", "passthrough": True},
                "local": {"base_url": "http://127.0.0.1:9/v1", "models": ["gpt-5"]},
            },
        }
        | more
    )


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(1000, 100), 4500),
        (Usage(1000, 100, cached=400), 1800 + 120 + 1500),
        (Usage(1000, 100, cached=400, cache_write=100), 1500 + 120 + 375 + 1500),
        (Usage(1000, 100, reasoning=50), 4500),
        (Usage(0, 0), 0),
    ],
)
def test_parts_are_priced_at_their_own_rates(usage, cost):
    assert cost_micros(usage, FULL) == cost


def test_finer_rates_fall_back_to_the_plain_ones():
    assert cost_micros(Usage(10, 10, cached=5, cache_write=5, reasoning=10), Rates(2.0, 4.0)) == 60


def test_reasoning_has_its_own_rate_where_one_is_known():
    assert cost_micros(Usage(0, 10, reasoning=4), Rates(2.0, 4.0, reasoning=1.0)) == 28


def test_what_is_unknown_and_needed_makes_the_cost_unknown():
    assert cost_micros(Usage(None, 10), FULL) is None
    assert cost_micros(Usage(10, None), FULL) is None
    assert cost_micros(Usage(10, 10), Rates(input=1.0)) is None
    assert cost_micros(Usage(10, 10), FULL, batch=True) is None


def test_an_unknown_rate_that_is_not_needed_does_no_harm():
    assert cost_micros(Usage(10, 0), Rates(input=1.0)) == 10


def test_a_free_model_costs_nothing_and_a_cheap_call_at_least_one():
    assert cost_micros(Usage(10, 10), Rates(0.0, 0.0)) == 0
    assert cost_micros(Usage(1, 0), Rates(0.01, 0.0)) == 1


def test_batches_have_their_own_rates():
    assert cost_micros(Usage(10, 10), Rates(2.0, 4.0, batch_input=1.0, batch_output=2.0), batch=True) == 30


@given(*[st.integers(0, 10**6)] * 5)
def test_a_cost_is_never_negative_and_grows_with_the_tokens(tokens_in, out, cached, written, thought):
    usage = Usage(tokens_in, out, cached, written, thought)
    cost = cost_micros(usage, FULL)
    more = cost_micros(Usage(tokens_in + 1, out + 1, cached, written, thought), FULL)
    assert cost is not None
    assert more is not None
    assert 0 <= cost <= more


def test_settings_override_the_list_and_void_the_finer_rates_of_what_they_override():
    rates = Rates.of(Price(input=9), FULL)
    assert rates == Rates(9.0, 15.0)
    assert Rates.of(Price(input=9, output=1, cached_input=2)) == Rates(9.0, 1.0, 2.0)


def test_the_child_process_knows_real_prices_and_does_not_guess_those_of_private_addresses(tmp_path):
    prices = resolve(settings(tmp_path), TODAY)
    assert prices.problem == ""
    found = prices.models["openai", "gpt-5"]
    assert found.rates.input
    assert found.rates.output
    assert found.context_window
    assert found.source.startswith("genai-prices")
    assert ("local", "gpt-5") not in prices.models
    assert lookup(prices.models, "local", "gpt-5") == Resolved()
    assert any(provider == "claude" for provider, _ in prices.models), "a passthrough provider has its whole list"
    tiered = prices.models["claude", "claude-sonnet-4-5"]
    assert "tiered" in tiered.source
    assert tiered.rates.batch_input == pytest.approx((tiered.rates.input or 0) / 2)

    def must_not_ask(queries, today):
        raise AssertionError("the answer of the last start is good")

    assert resolve(settings(tmp_path), TODAY, must_not_ask) == prices


def test_other_settings_or_another_day_ask_again(tmp_path):
    asked = []

    def ask(queries, today):
        asked.append((len(queries), today))
        return [Found("openai", "gpt-5", Rates(1.0, 2.0))]

    resolve(settings(tmp_path), TODAY, ask)
    resolve(settings(tmp_path), TODAY, ask)
    resolve(settings(tmp_path), date(2026, 11, 22), ask)
    resolve(settings(tmp_path, models={"m": {"endpoints": [{"provider": "openai"}]}}), date(2026, 11, 22), ask)
    assert [day for _, day in asked] == [TODAY, date(2026, 11, 22), date(2026, 11, 22)]


def test_prices_in_the_settings_hold_for_the_endpoints_of_their_model(tmp_path):
    own = {"mine": {"endpoints": [{"provider": "local", "model": "llama"}], "price": {"input": 1, "output": 2}}}
    prices = resolve(settings(tmp_path, models=own), TODAY, lambda queries, today: [])
    assert prices.models["local", "llama"] == Resolved(Rates(1.0, 2.0), None, "settings")


def test_a_list_that_cannot_be_asked_is_a_problem_and_no_stop(tmp_path):
    def broken(queries, today):
        raise OSError("no process")

    prices = resolve(settings(tmp_path), TODAY, broken)
    assert prices.models == {}
    assert "no process" in prices.problem
    resolve(settings(tmp_path), TODAY, lambda queries, today: [Found("openai", "gpt-5", Rates(1.0))])
    assert ("openai", "gpt-5") in resolve(settings(tmp_path), date(2026, 12, 1), broken).models, "the last answer stays"


class NoDay(date):
    def __new__(cls):
        return super().__new__(cls, 2026, 1, 1)

    def isoformat(self):
        return "no day"


def test_a_child_that_fails_says_why():
    with pytest.raises(subprocess.SubprocessError, match="it ended with"):
        in_child([], NoDay())


def test_the_gateway_never_imports_the_price_list():
    code = (
        "import sys; import meliora.gateway.prices as p; from meliora.settings.models import Settings; import datetime;"
        "p.resolve(Settings(), datetime.date(2026, 1, 1)); assert 'genai_prices' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rates_survive_json():
    assert msgspec.json.decode(msgspec.json.encode(FULL), type=Rates) == FULL
