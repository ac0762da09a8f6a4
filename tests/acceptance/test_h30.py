"""H30: improving oneself, in order: proposed, tested, validated, deployed, and rejected or rolled back with the reason."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.lives import living


def test_h30_what_was_not_validated_is_never_deployed(tmp_path: Path, switched: None) -> None:
    """A proof that failed ends it; one without data waits and is no pass; one that passed goes on."""
    for verdict, state in (("failed", "rejected"), ("inconclusive", "paused"), ("passed", "kept")):
        folder = tmp_path / verdict
        folder.mkdir()
        with living(folder) as life:
            life.kind.verdict = verdict  # type: ignore[assignment]
            life.breach()
            change = life.run(3600)
            assert change.state == state
            assert bool(life.kind.effects) is (state == "kept")


def test_h30_an_agents_proposal_is_approved_by_a_person_and_by_nobody_else(tmp_path: Path, switched: None) -> None:
    """Neither the agent, nor another one."""
    with living(tmp_path, "staging") as life:
        from meliora.loop.policy.request import Actor

        bot = Actor(kind="agent", key="key_bot", scopes=("feedback",))
        change = life.loop.desk.propose("default", bot, "routing_policy", "routing_policy", {})
        life.run()
        assert life.last().state == "trying"
        agent = life.house.client(life.house.key(agent=True))
        assert agent.post(f"/api/v1/changes/{change.id}/approve").status_code == 403
        assert life.admin.post(f"/api/v1/changes/{change.id}/approve").status_code == 200
        assert life.run().state == "kept"
