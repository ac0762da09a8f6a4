"""The room on disks is seen where a process writes, once a file system, also before its directories are made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from meliora.runtime.disks import look_at_disks, written_to
from meliora.settings.models import Server, Settings, Store


def test_directories_of_one_file_system_are_seen_once_and_those_to_come_by_what_they_will_be_made_in(
    tmp_path: Path,
) -> None:
    [seen] = look_at_disks([tmp_path, tmp_path / "to" / "come"])
    told = os.statvfs(tmp_path)
    assert seen.path == str(tmp_path)
    assert 0 < seen.free_bytes <= told.f_blocks * told.f_frsize


def test_what_an_ordinary_user_may_not_write_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File systems keep some for root; of files some say 0 of 0, and mean as many as you like."""
    said = [4096, 4096, 1000, 50, 0, 0, 0, 0, 0, 255]
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(said))
    [seen] = look_at_disks([tmp_path])
    assert (seen.free_bytes, seen.free_files) == (0, None)
    said[5] = 100
    assert look_at_disks([tmp_path])[0].free_files == 0


def test_a_disk_that_cannot_be_looked_at_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> os.statvfs_result:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "statvfs", broken)
    assert look_at_disks([tmp_path]) == ()


def test_state_spool_database_and_indexes_are_written_to(tmp_path: Path) -> None:
    settings = Settings(server=Server(state_dir=tmp_path), store=Store(url=f"sqlite:///{tmp_path}/elsewhere/m.db"))
    assert set(written_to(settings)) == {
        tmp_path,
        tmp_path / "spool",
        tmp_path / "elsewhere",
        tmp_path / "knowledge",
    }
