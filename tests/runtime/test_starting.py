"""Where a reference is declared the worker begins a policy by itself, once, for each tenant, and keeps it to the pool there is."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from meliora.errors import Conflict, InvalidRequest
from meliora.routing.learned.framed import BadSnapshot
from meliora.routing.learned.snapshot import decode
from meliora.routing.learning.prior_file import SHIPPED, load
from meliora.routing.learning.starting import Starting
from meliora.routing.pool import Candidate, Pool
from meliora.runtime.starting import Offered, Starter
from meliora.runtime.worker import build
from meliora.settings.learning import RoutingLearning
from meliora.settings.models import Gateway, Learning, Settings
from meliora.settings.routing import Dial, Routing
from meliora.store import Store
from meliora.store.engine import connect, database_url
from meliora.store.keys import KeyWish
from meliora.testing.clock import FrozenClock
from meliora.testing.stack import RunningMeliora
from tests.server.house import empty_database

SMALL = Candidate("small", "fast", input_price=0.1, output_price=0.4)
LARGE = Candidate("large", "deep", input_price=2.0, output_price=8.0)
UNPRICED = Candidate("mystery", "balanced")
DECLARED = Settings(routing=Routing(dial=Dial(reference="large")))


@dataclass
class Beginning:
    store: Store
    pool: list[Candidate] = field(default_factory=lambda: [SMALL, LARGE])
    aliases: dict[str, str] = field(default_factory=dict)

    def offers(self) -> Pool:
        return Pool(self.pool, self.aliases)

    def tenant(self, name: str) -> None:
        self.store.keys.create(name, KeyWish(name="key"))

    def step(self, settings: Settings = DECLARED) -> None:
        Starter(settings, self.store, self.offers).step()

    def by_hand(self, reference: str = "", settings: Settings | None = None) -> Any:
        routing = (settings or Settings()).routing
        return Starting(self.store.routing_snapshots, self.offers, routing).by_hand("default", reference, "ann")

    def numbers(self, tenant: str = "default") -> list[tuple[int, str, str]]:
        listed = reversed(self.store.routing_snapshots.list(tenant))
        return [(one.number, one.kind, one.state) for one in listed]

    def serving(self, tenant: str = "default") -> Any:
        return self.store.routing_snapshots.serving(tenant)

    def models(self) -> tuple[str, ...]:
        return decode(self.store.routing_snapshots.blob("default", self.serving().number)).models


@contextmanager
def beginning() -> Iterator[Beginning]:
    clock = FrozenClock()
    with TemporaryDirectory(prefix="meliora-") as directory:
        shutil.copy(empty_database(), directory)
        with Store(connect(database_url("", Path(directory))), clock_us=clock.now_us) as store:
            made = Beginning(store)
            made.tenant("default")
            yield made


@pytest.fixture
def here() -> Iterator[Beginning]:
    with beginning() as made:
        yield made


def test_with_a_declared_reference_the_first_snapshot_is_made_and_says_what_it_is(here: Beginning) -> None:
    here.step()
    made = here.serving()
    assert (made.number, made.kind, made.made_by) == (1, "prior", "worker")
    assert made.evidence["origin"] == "shipped prior, no outcomes yet"
    policy = decode(here.store.routing_snapshots.blob("default", 1))
    assert (policy.reference, policy.models, policy.number) == ("large", ("small", "large"), 1)
    assert policy.handicap == 1.0, "the reference answers until outcomes say more"


def test_however_often_the_worker_looks_it_is_made_once(here: Beginning) -> None:
    for _ in range(3):
        here.step()
    assert here.numbers() == [(1, "prior", "serving")]


def test_without_a_declared_reference_nothing_changes(here: Beginning) -> None:
    here.step(Settings())
    assert here.numbers() == []


def test_a_start_can_be_switched_off_or_be_cold(here: Beginning) -> None:
    def settings(start: Any) -> Settings:
        return Settings(routing=Routing(dial=Dial(reference="large"), learning=RoutingLearning(start=start)))

    here.step(settings("off"))
    assert here.numbers() == []
    here.step(settings("cold"))
    assert here.serving().evidence["origin"] == "nothing but the price list, no outcomes yet"
    policy = decode(here.store.routing_snapshots.blob("default", 1))
    seen = policy.predict("hello")
    assert seen.quality[0] == seen.quality[1]


def test_two_workers_at_once_make_one_snapshot(here: Beginning) -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(here.step) for _ in range(4)]:
            done.result()
    assert here.numbers() == [(1, "prior", "serving")]


def test_every_tenant_begins_by_itself_and_one_that_had_a_policy_is_left_alone(here: Beginning) -> None:
    here.tenant("other")
    shelf = here.store.routing_snapshots
    shelf.add("default", lambda _: b"candidate", kind="calibrated", made_by="test")
    here.step()
    assert here.numbers() == [(1, "calibrated", "candidate")]
    assert here.numbers("other") == [(1, "prior", "serving")]
    shelf.rollback("other")
    here.step()
    assert here.serving("other") is None, "who took it out of service wants it out"


def test_anonymous_calls_are_the_default_tenants(here: Beginning) -> None:
    settings = DECLARED.model_copy(update={"gateway": Gateway(anonymous=True)})
    assert "default" in Starter(settings, here.store, here.offers)._tenants()


def test_another_pool_price_or_dial_makes_it_anew_while_there_are_no_outcomes(here: Beginning) -> None:
    here.step()
    here.pool.append(UNPRICED)
    here.step()
    assert here.models() == ("small", "large", "mystery")
    here.pool[:] = [Candidate("small", "fast", input_price=0.2, output_price=0.4), LARGE]
    here.step()
    assert here.models() == ("small", "large") and here.serving().number == 3
    here.step(Settings(routing=Routing(dial=Dial(reference="large", quality_floor=0.9))))
    here.step(Settings(routing=Routing(dial=Dial(reference="small", quality_floor=0.9))))
    assert (here.serving().number, here.serving().evidence["reference"]) == (5, "small")
    assert here.store.routing_snapshots.rollback("default") is None, "before the first start nothing served"


def test_what_has_learned_is_not_made_anew(here: Beginning) -> None:
    here.step()
    blob = here.store.routing_snapshots.blob("default", 1)
    here.store.routing_snapshots.publish("default", 1, lambda _: blob, learned_seq=3, evidence={}, keep=20)
    here.pool.append(UNPRICED)
    here.step()
    assert (here.serving().number, here.serving().kind) == (2, "online")


@pytest.mark.parametrize(
    ("pool", "why"),
    [
        ([SMALL], "is not in the pool"),
        ([LARGE], "nothing to choose between"),
        ([LARGE, UNPRICED], "only model of a known price"),
        ([SMALL, Candidate("large", "deep")], "price of the reference model"),
    ],
)
def test_a_pool_that_will_not_do_is_said_once_and_the_classifier_serves_on(
    here: Beginning, capsys: pytest.CaptureFixture[str], pool: list[Candidate], why: str
) -> None:
    here.pool = pool
    starter = Starter(DECLARED, here.store, here.offers)
    for _ in range(3):
        starter.step()
    assert here.numbers() == [] and capsys.readouterr().out.count(why) == 1


def test_a_reference_that_is_gone_leaves_what_serves(here: Beginning) -> None:
    here.step()
    here.pool.remove(LARGE)
    here.step()
    assert here.numbers() == [(1, "prior", "serving")]


def test_only_models_with_a_tier_and_the_reference_are_begun_with(here: Beginning) -> None:
    here.pool = [
        Candidate("large", None, input_price=2.0, output_price=8.0),
        SMALL,
        Candidate("by-name-only", None, input_price=1.0, output_price=1.0),
        Candidate("vectors", "fast", capabilities=frozenset({"embeddings"}), input_price=1.0, output_price=1.0),
    ]
    here.aliases = {"best": "large"}
    here.step(Settings(routing=Routing(dial=Dial(reference="best"))))
    assert here.models() == ("large", "small")


def test_a_torn_prior_is_refused_loudly_and_nothing_serves(here: Beginning, tmp_path: Path) -> None:
    torn = tmp_path / "torn.prior"
    torn.write_bytes(SHIPPED.read_bytes()[:-7])
    work = Starting(here.store.routing_snapshots, here.offers, DECLARED.routing, lambda: load(torn))
    with pytest.raises(BadSnapshot, match="torn"):
        work.by_itself("default")
    assert here.numbers() == []


def test_a_person_begins_at_any_time_but_not_over_what_knows_more(here: Beginning) -> None:
    with pytest.raises(InvalidRequest, match="No reference model is declared"):
        here.by_hand()
    with pytest.raises(InvalidRequest, match="'nobody' is not in the pool"):
        here.by_hand("nobody")
    assert here.by_hand("small").made_by == "ann"
    assert here.by_hand(settings=DECLARED).evidence["reference"] == "large"
    here.store.routing_snapshots.rollback("default")
    assert here.by_hand("small").number == 3, "also after a rollback to nothing"
    blob = here.store.routing_snapshots.blob("default", 3)
    here.store.routing_snapshots.publish("default", 3, lambda _: blob, learned_seq=1, evidence={}, keep=20)
    with pytest.raises(Conflict, match="snapshot 4 serves already"):
        here.by_hand("small")


def test_the_worker_keeps_the_reference_that_a_person_chose(here: Beginning) -> None:
    here.by_hand("small")
    here.step()
    assert here.serving().number == 1
    here.pool.append(UNPRICED)
    for settings in (Settings(), DECLARED):
        here.step(settings)
    assert (here.serving().number, here.serving().evidence["reference"], here.serving().made_by) == (2, "small", "ann")


def test_the_worker_looks_after_starts_unless_learning_or_the_policy_is_off(here: Beginning) -> None:
    def tasks(**changes: Any) -> set[str]:
        settings = DECLARED.model_copy(update=changes)
        return {task.name for task in build(settings, here.store, FrozenClock()).tasks}

    assert "starts" in tasks()
    assert "starts" not in tasks(learning=Learning(enabled=False))
    assert "starts" not in tasks(routing=Routing(learned="off"))


def test_prices_are_looked_up_when_they_are_wanted_and_again_after_an_hour(tmp_path: Path) -> None:
    from meliora.runtime.shared import effective
    from meliora.settings.models import Server

    clock = FrozenClock()
    offered = Offered(effective(Settings(server=Server(state_dir=tmp_path))), clock)
    first = offered()
    assert offered() is first
    clock.advance(3601)
    assert offered() is not first
    small = first.find("simulated-small")
    assert small is not None and small.blended_price is not None


def wait_for(running: RunningMeliora, condition: Callable[[], bool]) -> None:
    running.wait(condition, 20.0)


def test_the_whole_way_from_a_declared_reference_to_a_routed_call(tmp_path: Path) -> None:
    from meliora.settings.models import Server
    from meliora.settings.routing import Exploration
    from tests.routing.learning.test_whole_way import ask

    routing = Routing(dial=Dial(reference="simulated-large"), exploration=Exploration(enabled=False))
    with RunningMeliora(Settings(server=Server(state_dir=tmp_path / "var"), routing=routing)) as running:
        running.settle()
        wait_for(running, lambda: running.store.routing_snapshots.serving("default") is not None)
        wait_for(running, lambda: "default" in running.gateway.gateway.snapshot.state.policies)
        wait_for(running, lambda: ask(running)["x-meliora-reason"].startswith("policy:1"))
        assert ask(running)["x-meliora-model"] == "simulated-large", "the reference answers until outcomes say more"
