"""When the baselines serve: the switch, the file, the lease; what cannot be looked at stays as it was."""

from pathlib import Path

from meliora.gateway.arms import Safety
from meliora.gateway.safety import Guard


def judge(guard: Guard, now: float, *, halted: bool = False, lease: float = 60.0) -> Safety:
    return guard.judge(now, halted=halted, lease_seconds=lease)


def test_a_lease_begins_with_the_age_of_the_state_and_anew_with_each_word(tmp_path: Path) -> None:
    guard = Guard(tmp_path, now=100.0, age=50.0)
    assert judge(guard, 109) == Safety()
    assert judge(guard, 111) == Safety(lapsed=True)
    guard.renew(111)
    assert judge(guard, 171) == Safety()
    assert judge(guard, 172) == Safety(lapsed=True)


def test_a_clock_that_was_put_back_gives_no_longer_lease(tmp_path: Path) -> None:
    assert judge(Guard(tmp_path, now=0.0, age=-1e9), 61) == Safety(lapsed=True)


def test_the_file_halts_and_its_removal_ends_it_unless_the_switch_is_on(tmp_path: Path) -> None:
    guard = Guard(tmp_path, now=0.0, age=0.0)
    file = tmp_path / "kill"
    file.touch()
    assert judge(guard, 1) == Safety(halted=True)
    assert guard.by_file
    file.unlink()
    assert judge(guard, 1.1) == Safety(halted=True)  # it is looked for five times a second
    assert judge(guard, 1.3) == Safety()
    assert judge(guard, 1.4, halted=True) == Safety(halted=True)


def test_who_cannot_look_for_the_file_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    guard = Guard(folder, now=0.0, age=0.0)
    (folder / "kill").touch()
    assert judge(guard, 1) == Safety(halted=True)
    (folder / "kill").unlink()
    folder.rmdir()
    folder.touch()  # no directory any more: `kill` in it can neither be there nor not
    assert judge(guard, 2) == Safety(halted=True)
    folder.unlink()
    folder.mkdir()
    assert judge(guard, 3) == Safety()
