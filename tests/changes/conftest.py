"""Deployments for tests of kinds of change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.changes.house import Deployment, Deployments


@pytest.fixture
def deployments() -> Iterator[Deployments]:
    made = Deployments()
    yield made
    made.close()


@pytest.fixture
def here(deployments: Deployments) -> Deployment:
    return deployments()
