"""A kind that delivers files to a Git repository: a commit whose trailer carries the idempotency key, read back, reverted for an undo."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from meliora.loop.change import Change
from meliora.loop.kind import Figure, Guardrail, Later, Proof, Proposal, TrialPlan, WatchPlan
from meliora.loop.work import Work
from meliora.testing.contract import Faults, Fences, KindBench, change_of

FILE = "limits.txt"
WANTED = "limit 20\n"


class Repository:
    """Git, as far as the kind needs it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def git(self, *words: str, given: str | None = None) -> str:
        """Run a command. Raises `CalledProcessError`."""
        fixed = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", "-C", str(self.path), *fixed, *words],
            input=given,
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        return done.stdout.rstrip("\n")

    def tree(self) -> str:
        """Give the id of what the branch holds: equal content, equal id."""
        return self.git("rev-parse", "main^{tree}")

    def has(self, tree: str) -> bool:
        """Tell whether a tree is there."""
        try:
            self.git("cat-file", "-e", tree)
        except subprocess.CalledProcessError:
            return False
        return True

    def with_file(self, tree: str, content: str) -> str:
        """Make the tree that is this one with the file's content in place."""
        blob = self.git("hash-object", "-w", "--stdin", given=content)
        lines = [line for line in self.git("ls-tree", tree).splitlines() if not line.endswith(f"\t{FILE}")]
        return self.git("mktree", given="\n".join([*lines, f"100644 blob {blob}\t{FILE}"]) + "\n")

    def keyed(self, key: str) -> bool:
        """Tell whether a commit of the branch carries a key."""
        return key in self.git("log", "main", "--format=%(trailers:key=Change,valueonly)").split()

    def commit(self, tree: str, key: str, parent: str) -> None:
        """Move the branch from `parent` to a new commit of a tree. Raises where the branch has moved on."""
        made = self.git("commit-tree", tree, "-p", parent, "-m", f"{FILE} by a change\n\nChange: {key}")
        self.git("update-ref", "refs/heads/main", made, parent)

    def head(self) -> str:
        """Give the branch's last commit."""
        return self.git("rev-parse", "main")


class GitKind:
    """A version is a tree's id. There is no transaction to be fenced in, so the attempt asks right before its effect."""

    name = "git"
    surface = "git"

    def __init__(self, repository: Repository, checks: dict[str, list[int]]) -> None:
        self._repository, self._checks = repository, checks

    def propose(self, change: Change, work: Work) -> Proposal | Later | None:
        base = self._repository.tree()
        made = self._repository.with_file(base, WANTED)
        return Proposal(target=FILE, summary="a higher limit", payload={"tree": made}, candidate=made, baseline=base)

    def prove(self, change: Change, work: Work) -> Proof | Later:
        before, after = self._checks.get("before", []), self._checks.get("after", [])
        known = bool(before and after)
        gain = sum(after) / len(after) - sum(before) / len(before) if known else None
        return Proof(
            verdict="inconclusive" if gain is None else "passed" if gain > 0 else "failed",
            method="checks run on both trees",
            rule="more checks pass",
            sentence=f"the share of checks that pass differs by {gain}",
            figures=(Figure(name="passed", value=gain, n=len(after)),),
            baseline=change.baseline,
        )

    def trial(self, change: Change) -> TrialPlan | None:
        return None

    def rehearse(self, change: Change, work: Work) -> dict[str, Any]:
        if change.baseline is None or not self._repository.has(change.baseline):
            raise LookupError("the baseline's tree is gone")
        return {"tree": change.baseline}

    def deliver(self, change: Change, work: Work) -> str | Later:
        self._commit(change.candidate, change.baseline, work)
        return self._repository.tree()

    def undo(self, change: Change, work: Work) -> str | Later | None:
        self._commit(change.baseline, change.candidate, work)
        return self._repository.tree()

    def serving(self, change: Change) -> str | None:
        return self._repository.tree()

    def watch(self, change: Change) -> WatchPlan | None:
        return WatchPlan(overlay={"tree": change.baseline}, guardrails=(Guardrail(metric="error_rate", margin=0.01),))

    def _commit(self, tree: str | None, instead_of: str | None, work: Work) -> None:
        head = self._repository.head()
        if self._repository.keyed(work.key) or self._repository.tree() != instead_of:
            return
        assert tree is not None
        work.progress(None, "about to commit")  # refused here, or the branch has moved and the commit fails
        self._repository.commit(tree, work.key, head)


def git_bench(path: Path) -> KindBench:
    """Give a bench over a new repository."""
    path.mkdir(parents=True)
    repository = Repository(path)
    repository.git("init", "-q", "-b", "main")
    (path / FILE).write_text("limit 10\n")
    (path / "other.txt").write_text("as it is\n")
    repository.git("add", ".")
    repository.git("commit", "-q", "-m", "begin")
    checks = {"before": [1, 0, 1], "after": [1, 1, 1]}
    faults, fences = Faults(), Fences()

    def replace() -> None:
        head = repository.head()
        repository.commit(repository.with_file(repository.tree(), "limit 99\n"), "somebody", head)

    return KindBench(
        build=lambda: GitKind(faults.around(repository), checks),
        change=change_of("git", FILE, "git"),
        state=repository.tree,
        decode=lambda overlay: overlay["tree"],
        lose_data=checks.clear,
        lose_baseline=lambda change: _lose(repository),
        replace=replace,
        faults=faults,
        fences=fences,
        contents=("limit 10",),
        splits=False,
    )


def _lose(repository: Repository) -> None:
    tree = repository.tree()
    (repository.path / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
