"""Who is erased on one machine goes from the spools of the others by themselves, though nobody calls or searches there any more."""

from __future__ import annotations

from pathlib import Path

from meliora.testing import FakeProvider
from tests.postgres.conftest import Schema
from tests.postgres.machine import Machine, Site

MARK = "quillberry"


def holds(machine: Machine) -> bool:
    """Whether any file of a machine's spool has a word of the person's."""
    try:
        return any(MARK.encode() in one.read_bytes() for one in machine.spool.rglob("*") if one.is_file())
    except FileNotFoundError:
        return True  # deleted just now: looked at again


def done(machine: Machine) -> dict[str, bool]:
    """Tell by state directory whether the erasure is done."""
    found = machine.get(f"/api/v1/users/{MARK}")["spools"]
    return {one["state_dir"]: one["done"] for one in found}


def test_an_erasure_reaches_the_spools_of_all_machines(tmp_path: Path, provider: FakeProvider, schema: Schema) -> None:
    with Site(tmp_path, provider, schema) as site:
        here, there = (site.machine(name).prepare() for name in ("here", "there"))
        site.run((here, there), "control", "gateway", "worker")
        secret = here.ask("POST", "/api/v1/keys", {"name": "k", "scopes": ["call", "admin", "read"]}).body["secret"]
        for machine in (here, there):
            machine.until(
                lambda machine=machine: machine.ask("GET", "/v1/models", secret=secret).status == 200, "no key"
            )
        document = {"documents": [{"id": "d", "text": "the harbour"}]}
        assert here.ask("POST", "/api/v1/knowledge/documents", document).status == 200
        assert there.call(secret, text=f"I am {MARK}", **{"x-meliora-user": MARK}).status == 200
        asked = {"query": f"harbour {MARK}", "user": MARK}
        there.until(lambda: there.ask("POST", "/api/v1/knowledge/search", asked, secret).status == 200, "no search")
        assert holds(there), "the segments that its gateway and its control process write to"
        assert here.get(f"/api/v1/users/{MARK}") == {"erased_us": None, "spools": []}
        erased = here.ask("DELETE", f"/api/v1/users/{MARK}").body
        assert any(str(there.layout.root) in one for one in erased["held"]), erased["held"]
        there.until(lambda: not holds(there), "the other machine keeps what it wrote", 30)
        here.until(lambda: all(done(here).values()) and len(done(here)) == 2, "nobody says that it is done", 30)
        told = here.meliora("erase", "--user", MARK, "--look")
        assert told.returncode == 0 and told.stdout.count("gone") == 2, told.stdout
        for machine in (here, there):
            assert machine.alive("gateway") and machine.alive("control") and machine.alive("worker")
