"""The state directory: who may read it, and whose a pid is."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from meliora.errors import Conflict, SettingsError
from meliora.settings import Settings
from meliora.settings.models import Server
from meliora.supervisor import detach
from meliora.supervisor.layout import Layout, address, free_port, identity, is_locked, locked, read_pids, write_pids
from meliora.supervisor.prepare import first_key, prepare


def settings_of(root: Path) -> Settings:
    return Settings(server=Server(state_dir=root))


def test_the_directory_is_its_owners_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "a" / "var")
    layout.make()
    layout.make()
    assert stat.S_IMODE(layout.root.stat().st_mode) == 0o700


def test_a_directory_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")
    with pytest.raises(SettingsError, match="MELIORA_SERVER__STATE_DIR"):
        Layout(tmp_path / "var").make()


def test_only_one_can_hold_the_lock(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with locked(layout):
        assert is_locked(layout)
        with pytest.raises(Conflict), locked(layout):
            pass
    assert not is_locked(layout)


def test_the_pid_file_is_read_back(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_pids(layout, {"supervisor": os.getpid(), "gateway": os.getppid()}, "http://h:1")
    found = read_pids(layout)
    assert (found.supervisor, found.alive("gateway"), found.url) == (os.getpid(), os.getppid(), "http://h:1")
    assert layout.pid_file.read_text().splitlines()[0] == str(os.getpid())


def test_a_pid_that_went_to_another_process_is_not_ours_and_is_never_ended(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.pid_file.write_text(f"{os.getpid()}\nsupervisor {os.getpid()} 1\ngateway {os.getpid()} 1\nurl http://h:1\n")
    assert read_pids(layout).supervisor is None
    assert not detach.stop(settings_of(tmp_path))


@pytest.mark.parametrize("content", [b"", b"x", b"\xff\xfe\n\n", b"1\nsupervisor\nurl\n", b"1\nsupervisor x y z\n"])
def test_a_damaged_pid_file_names_nobody(tmp_path: Path, content: bytes) -> None:
    layout = Layout(tmp_path)
    layout.pid_file.write_bytes(content)
    assert read_pids(layout).supervisor is None and not detach.stop(settings_of(tmp_path))


def test_a_process_that_is_gone_has_no_identity() -> None:
    assert identity(os.getpid()) is not None and identity(2**22 + 1) is None


def test_a_port_in_use_is_one_sentence_that_says_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"Port {port} .*MELIORA_SERVER__PORT"):
            free_port("127.0.0.1", port)
    assert free_port("127.0.0.1", 0) > 0


def test_the_address_is_one_that_this_machine_reaches() -> None:
    assert address("0.0.0.0", 1) == "http://127.0.0.1:1" and address("::", 1) == "http://[::1]:1"


def test_the_first_key_is_written_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin.key"
    first = first_key(path, lambda: "a" * 40)
    assert first == "mel_" + "a" * 40 == first_key(path, lambda: "b" * 40)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("\n")
    with pytest.raises(SettingsError, match="holds no key"):
        first_key(path, lambda: "c" * 40)


def test_every_start_finds_the_same_key_and_a_lost_database_gets_it_back(tmp_path: Path) -> None:
    from meliora import runtime

    settings = settings_of(tmp_path / "var")
    for _ in range(2):
        prepare(settings)
    secret = (tmp_path / "var" / "admin.key").read_text().strip()
    with runtime.open_store(settings) as store:
        keys = store.keys.list("default")
        assert [key.name for key in keys] == ["admin"] and "admin" in keys[0].scopes
        store.keys.revoke("default", keys[0].id)
    prepare(settings)
    with runtime.open_store(settings) as store:
        assert [key.revoked_us is not None for key in store.keys.list("default")] == [True]
    for file in (tmp_path / "var").glob("meliora.db*"):
        file.unlink()
    prepare(settings)
    with runtime.open_store(settings) as store:
        assert store.keys.open(secret, 1) is not None
