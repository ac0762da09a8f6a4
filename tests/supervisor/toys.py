"""A supervisor over toy processes, run as a program of its own: `toys.py DIRECTORY [CODE OF THE FIRST ONE]`."""

from __future__ import annotations

import sys
from pathlib import Path

from meliora.supervisor.layout import Layout, locked
from meliora.supervisor.watch import Plan, Supervisor

TOY = """
import pathlib, signal, sys
log = pathlib.Path(sys.argv[1]).open("a", buffering=1)
name = sys.argv[2]
def note(number, frame):
    print(name, signal.Signals(number).name, file=log)
    if number == signal.SIGTERM:
        sys.exit(0)
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, note)
print(name, "up", file=log)
while True:
    signal.pause()
"""


def main(directory: str, code: str = TOY) -> int:
    """Watch three toys that write what happens to them into `DIRECTORY/notes`."""
    layout = Layout(Path(directory))
    layout.make()
    notes = str(layout.root / "notes")

    def command(name: str, source: str) -> list[str]:
        return [sys.executable, "-S", "-E", "-c", source, notes, name]

    names = {"gateway": code, "control": TOY, "worker": TOY}
    plan = Plan(
        layout=layout,
        url="http://127.0.0.1:1",
        commands={name: command(name, source) for name, source in names.items()},
        drain=5.0,
        check=lambda: "the file is bad" if (layout.root / "bad").exists() else "",
    )
    with locked(layout):
        return Supervisor(plan).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
