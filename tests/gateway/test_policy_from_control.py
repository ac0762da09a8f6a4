"""From the store to the request path: a promoted snapshot serves, a rollback takes it away, a broken one is refused in public."""

from pathlib import Path

from meliora.routing.learned.snapshot import encode
from meliora.settings.models import Server, Settings
from meliora.testing.policies import planted
from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import chat, get, post

KNOWN = {"simulated-small": (0.7, 0.0002), "simulated-medium": (0.8, 0.002), "simulated-large": (0.95, 0.02)}
PATH = "/v1/chat/completions"


def test_a_promoted_snapshot_serves_a_broken_one_does_not_and_a_rollback_ends_the_trouble(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "server": Server(state_dir=tmp_path / "state"),
            "routing": {"exploration": {"enabled": False}, "dial": {"willingness_to_pay": 0.001}},
        }
    )
    with RunningMeliora(settings) as all_of_it:
        kept, gateway = all_of_it.store.routing_snapshots, all_of_it.gateway
        learned = lambda: gateway.gateway.snapshot.loaded.policies  # noqa: E731

        def promote(blob) -> int:
            made = kept.add("default", blob, kind="fit", made_by="test")
            return kept.promote("default", made.number).number

        first = promote(lambda number: encode(planted(KNOWN, number=number)))
        all_of_it.wait(lambda: "default" in learned(), 10)
        answer = post(gateway, PATH, chat(model="auto"))
        said = post(gateway, "/route", {"prompt": "What is 2+2?"}).json
        assert answer.headers["x-meliora-reason"] == said["reason"] == f"policy:{first}"
        assert answer.headers["x-meliora-model"] == said["model"] == "simulated-small"

        broken = promote(lambda _: b"no snapshot at all")
        trouble = lambda: gateway.gateway.lifespan.policies.troubles  # noqa: E731
        all_of_it.wait(lambda: "default" in trouble(), 10)
        assert post(gateway, PATH, chat(model="auto")).headers["x-meliora-reason"] == f"policy:{first}"
        assert b"meliora_policies_refused " in get(gateway, "/metrics").body

        def told() -> bool:
            part = get(gateway, "/health").json["parts"]["gateway"]
            return part["status"] == "degraded" and f"{broken} does not serve" in part["reason"]

        all_of_it.wait(told, 10)

        kept.rollback("default")
        all_of_it.wait(lambda: not trouble(), 10)
        all_of_it.settle()
        calls = all_of_it.store.calls.list("default").items
        assert [call.routing["snapshot"] for call in calls if call.routing] == [first, first]
