"""OpenAI's client of the line before, by the same tests as the newest one."""

from __future__ import annotations

from tests.clients.older import run_older

FILES = ("test_openai_chat.py", "test_openai_responses.py", "test_openai_errors.py")
TWICE = "not usual_exception"
"""Which status is which exception is told by the server alone, and tested with the newer client."""


def test_the_client_of_the_line_before_does_all_that_the_newest_one_does() -> None:
    """A whole run of their tests, with the older package in place of the newer."""
    files = [f"tests/clients/{name}" for name in FILES]
    run = run_older("-m", "pytest", "-p", "no:cacheprovider", "-k", TWICE, "--tb=short", *files)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert "client: openai 2." in run.stdout
