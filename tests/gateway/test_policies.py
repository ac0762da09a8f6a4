"""A gateway's learned policies: fetched, verified, kept, swapped; what does not load is refused and the old one serves on."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from meliora.errors import UpstreamUnreachable
from meliora.gateway import following as module
from meliora.gateway.policies import Policies, file_of
from meliora.gateway.state import PolicyRef
from meliora.routing.learned.snapshot import encode
from meliora.testing.policies import planted

FIRST, SECOND = (encode(planted({"a": (0.5, 0.1), "b": (0.6, 0.2)}, number=n)) for n in (1, 2))


def ref(blob: bytes, number: int) -> PolicyRef:
    return PolicyRef(number, hashlib.sha256(blob).hexdigest())


class Shelf:
    """Stands for the control process: answers with what lies at a path, or is away."""

    def __init__(self, **blobs: bytes) -> None:
        self.blobs = {f"/internal/policies/t/{number[1:]}": blob for number, blob in blobs.items()}
        self.asked: list[str] = []
        self.away = False

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        self.asked.append(f"{method} {path}")
        if self.away:
            raise UpstreamUnreachable("It is away.")
        return (200, self.blobs[path]) if path in self.blobs else (404, b"{}")


class Followed:
    """Policies that follow a shelf, with the numbers that were swapped in."""

    def __init__(self, shelf: Shelf, folder: Path) -> None:
        self.swapped: list[int] = []
        self.policies = Policies(shelf, folder, self._swap)  # type: ignore[arg-type]

    def _swap(self) -> None:
        self.swapped.append(self.policies.serving["t"].number)

    async def until(self, condition) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.001)


async def test_a_policy_that_the_state_names_is_fetched_and_serves_and_the_next_replaces_it(tmp_path: Path):
    shelf = Shelf(_1=FIRST, _2=SECOND)
    followed = Followed(shelf, tmp_path)
    policies = followed.policies
    policies.start()
    policies.want({"t": ref(FIRST, 1)})
    await followed.until(lambda: followed.swapped == [1])
    before = policies.serving
    policies.want({"t": ref(SECOND, 2)})
    await followed.until(lambda: followed.swapped == [1, 2])
    assert before["t"].number == 1, "what a call holds is not changed under it"
    await followed.until(lambda: not file_of(tmp_path, ref(FIRST, 1)).exists())
    assert file_of(tmp_path, ref(SECOND, 2)).read_bytes() == SECOND
    policies.want({})
    assert policies.serving == {}
    await policies.stop()


@pytest.mark.parametrize(
    ("blob", "named", "problem"),
    [
        (SECOND[:-9] + b"\0" + SECOND[-8:], SECOND, "its checksum is"),
        (b"nothing of the kind", b"nothing of the kind", "no routing snapshot"),
        (SECOND[:-40], SECOND[:-40], "torn or was altered"),
        (FIRST, FIRST, "it says that it is number 1"),
    ],
)
async def test_one_that_does_not_load_is_refused_and_the_old_one_serves_on(
    tmp_path: Path, blob: bytes, named: bytes, problem: str
):
    shelf = Shelf(_1=FIRST, _2=blob)
    followed = Followed(shelf, tmp_path)
    policies = followed.policies
    policies.start()
    policies.want({"t": ref(FIRST, 1)})
    await followed.until(lambda: followed.swapped == [1])
    policies.want({"t": ref(named, 2)})
    await followed.until(lambda: "t" in policies.troubles)
    assert problem in policies.troubles["t"]
    assert policies.serving["t"].number == 1
    assert policies.refused > 0
    shelf.blobs["/internal/policies/t/2"] = SECOND
    policies.want({"t": ref(SECOND, 2)})
    await followed.until(lambda: followed.swapped == [1, 2])
    assert policies.troubles == {}
    await policies.stop()


async def test_a_control_process_that_is_away_is_asked_again(tmp_path: Path):
    shelf = Shelf(_1=FIRST)
    shelf.away = True
    followed = Followed(shelf, tmp_path)
    followed.policies.start()
    followed.policies.want({"t": ref(FIRST, 1)})
    await followed.until(lambda: len(shelf.asked) > 3)
    assert "could not be fetched" in followed.policies.troubles["t"]
    shelf.away = False
    await followed.until(lambda: followed.swapped == [1])
    await followed.policies.stop()


async def test_what_lies_on_the_disk_serves_before_the_control_process_answers(tmp_path: Path):
    followed = Followed(Shelf(_1=FIRST), tmp_path)
    followed.policies.start()
    followed.policies.want({"t": ref(FIRST, 1)})
    await followed.until(lambda: followed.swapped == [1])
    await followed.policies.stop()
    again = Followed(Shelf(), tmp_path).policies
    again.restore({"t": ref(FIRST, 1), "other": ref(SECOND, 2)})
    assert {tenant: policy.number for tenant, policy in again.serving.items()} == {"t": 1}
    assert again.troubles == {}
    file_of(tmp_path, ref(FIRST, 1)).write_bytes(FIRST[:-1])
    torn = Followed(Shelf(), tmp_path).policies
    torn.restore({"t": ref(FIRST, 1)})
    assert torn.serving == {}
    assert "checksum" in torn.troubles["t"]


def test_a_reference_leads_nowhere_else_on_the_disk(tmp_path: Path):
    assert file_of(tmp_path, PolicyRef(1, "../../etc/passwd")).parent == tmp_path / "policies"


async def test_a_refusal_that_comes_after_a_rollback_is_no_trouble_any_more(tmp_path: Path):
    """The bad one was still being fetched when the state went back to the one that serves."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Shelf):
        async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
            found = await super().ask(method, path, body)
            if path.endswith("/2"):
                asked.set()
                await go_on.wait()
            return found

    followed = Followed(Slow(_1=FIRST, _2=b"no snapshot at all"), tmp_path)
    policies = followed.policies
    policies.want({"t": ref(FIRST, 1)})
    policies.start()
    await followed.until(lambda: followed.swapped == [1])
    policies.want({"t": ref(b"no snapshot at all", 2)})
    await asyncio.wait_for(asked.wait(), 10)
    policies.want({"t": ref(FIRST, 1), "u": ref(SECOND, 3)})
    go_on.set()
    await followed.until(lambda: "u" in policies.troubles)  # asked for after the late refusal
    assert "t" not in policies.troubles and policies.serving["t"].number == 1
    await policies.stop()
