"""No thread is the first to read a record type: where two are at once, the process dies without a word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from meliora.runtime.warming import make_ready

read: list[str] = []


def test_a_type_that_was_made_ready_is_not_read_at_its_first_use() -> None:
    module = sys.modules["meliora.runtime.warming"]
    kind = type(msgspec.Struct)(
        "Kind", (msgspec.Struct,), {"__annotations__": {"a": "noted()"}, "__module__": module.__name__}
    )

    def noted() -> type:
        read.append("a")
        return int

    vars(module)["noted"] = noted
    try:
        make_ready()
        assert read == ["a"]
        assert msgspec.json.decode(b'{"a": 1}', type=kind).a == 1
        assert read == ["a"]
    finally:
        del vars(module)["noted"]


def test_a_type_that_nothing_can_decode_keeps_no_other_from_being_ready() -> None:
    kind = type(msgspec.Struct)(
        "Odd", (msgspec.Struct,), {"__annotations__": {"a": "unheard_of"}, "__module__": "meliora.runtime.warming"}
    )
    make_ready()
    assert kind.__name__ == "Odd"


EVERYTHING = """
import sys, threading
from pathlib import Path
import msgspec
from meliora.settings.models import Server, Settings
from meliora.testing.stack import RunningMeliora

def below(kind):
    for one in kind.__subclasses__():
        yield one
        yield from below(one)

def body(kind):
    # What is half read shows where a field is looked at.
    config, names = kind.__struct_config__, kind.__struct_encode_fields__
    given = {config.tag_field: config.tag} if config.tag_field else {}
    return msgspec.json.encode([*given.values(), *(1 for _ in names)] if config.array_like else given | dict.fromkeys(names, 1))

def decode(kind, data, together):
    together.wait()
    try:
        msgspec.json.decode(data, type=kind)
    except (msgspec.ValidationError, NameError, TypeError):
        pass

with RunningMeliora(Settings(server=Server(state_dir=Path(sys.argv[1]) / "state"))):
    sys.setswitchinterval(1e-6)
    kinds = [one for one in set(below(msgspec.Struct)) if one.__module__.startswith("meliora.")]
    for kind in kinds:
        together = threading.Barrier(6)
        threads = [threading.Thread(target=decode, args=(kind, body(kind), together)) for _ in range(6)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    sys.setswitchinterval(0.005)
print(len(kinds) > 300)
"""


def test_every_record_type_of_the_running_processes_can_be_decoded_by_several_threads_at_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EVERYTHING, str(tmp_path)], capture_output=True, text=True, timeout=110, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["True"]), done.stderr[-2000:]
