"""Policies are checked before they are used, and whatever is wrong is named with file and line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from meliora.loop.policy.bundle import check, own, read_bundle, statements, with_directory
from meliora.loop.policy.decide import Policies
from meliora.loop.policy.request import Action, Facts, Request, Touches

FORBID = '@id("mine")\nforbid(principal, action == Action::"deliver", resource) when { resource.kind == "patch" };\n'


def broken(tmp_path: Path, text: str | bytes, *, replace: bool = False) -> list[str]:
    file = tmp_path / "mine.cedar"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return [str(problem) for problem in Policies(with_directory(tmp_path, replace=replace)).problems]


def test_the_policies_that_come_along_hold_together() -> None:
    checked = check(own())
    assert checked.problems == ()
    assert all(rule.reason for rule in checked.rules)
    assert {"no-proof-no-trial", "who-proposes-does-not-approve"} <= {rule.id for rule in checked.rules}


def test_a_bundle_is_the_same_by_its_text(tmp_path: Path) -> None:
    (tmp_path / "mine.cedar").write_text(FORBID)
    bundle = with_directory(tmp_path)
    assert read_bundle(bundle.text) == bundle and read_bundle(bundle.text).sha256 == bundle.sha256
    assert bundle.sha256 != own().sha256
    with pytest.raises(ValueError, match="truncated"):
        read_bundle("{")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('// a\n\n@id("x")\nforbid(principal, action, resource', "mine.cedar:3: This policy does not parse"),
        (FORBID + "\npermit everything;", "mine.cedar:4: This policy does not parse"),
        ("forbid(principal is Agent, action, resource);", "mine.cedar:1: This policy has no id"),
        ('@id("Mine!")\nforbid(principal is Agent, action, resource);', "mine.cedar:1: The id 'Mine!' is not one"),
        (FORBID + FORBID, "mine.cedar:3: The id 'mine' is taken by mine.cedar:1"),
        ('@id("caps")\nforbid(principal is Agent, action, resource);', "The id 'caps' is taken by common.cedar:"),
        ('@id("a")\nforbid(principal is Robot, action, resource);', "Robot"),
        ('@id("a")\nforbid(principal is Agent, action == Action::"zap", resource);', "zap"),
        (
            '@id("a")\nforbid(principal is Agent, action, resource)\nwhen { context.prooved };',
            "mine.cedar:1: attribute `prooved` in context",
        ),
        (
            '@id("a")\nforbid(principal is Agent, action, resource) when { context.changes_today > "x" };',
            "mine.cedar:1",
        ),
        ('@id("a")\npermit(principal is Agent, action, resource);', "may only forbid"),
        ('@id("a") @needs("luck")\nforbid(principal is Agent, action, resource);', "@needs('luck') is not known"),
        ('@id("a")\nforbid(principal == ?principal, action, resource);', "Templates"),
        (b"\xff\xfe", "mine.cedar is not UTF-8"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path: Path, text: str | bytes, told: str) -> None:
    problems = broken(tmp_path, text)
    assert any(told in problem for problem in problems), problems


def test_policies_of_ones_own_may_permit_where_they_replace_the_rest(tmp_path: Path) -> None:
    permits = '@id("all")\npermit(principal is System, action, resource);\n'
    assert broken(tmp_path, permits) and not broken(tmp_path, permits, replace=True)


def test_policies_that_would_keep_the_loop_from_going_back_are_not_taken(tmp_path: Path) -> None:
    for text, replace in (
        ('@id("freeze")\nforbid(principal, action, resource) when { context.halted };', False),
        ('@id("people")\npermit(principal is Person, action, resource);', True),
    ):
        problems = broken(tmp_path, text, replace=replace)
        assert any("could not roll back" in problem for problem in problems), problems


def test_a_directory_that_is_not_there_or_empty_is_a_problem_where_it_counts(tmp_path: Path) -> None:
    assert "cannot be read" in str(Policies(with_directory(tmp_path / "nowhere")).problems[0])
    assert Policies(with_directory(tmp_path)).problems == ()
    assert "no .cedar file" in str(Policies(with_directory(tmp_path, replace=True)).problems[0])


def test_a_file_is_cut_into_its_policies_whatever_stands_in_strings_and_comments() -> None:
    text = '// no; policy\n@id("a;b") // and ; here\npermit(x);\n\n\n  forbid(y) when { "\\";" };\nrest'
    assert [(line, piece.strip()[:6]) for line, piece in statements(text)] == [
        (2, '@id("a'),
        (6, "forbid"),
        (7, "rest"),
    ]
    assert list(statements("// nothing\n\n")) == []


def test_the_examples_of_the_documentation_hold(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "governance.md").read_text()
    policies = re.findall(r"(?ms)^```cedar\n(.*?)^```", page)
    assert policies and not [problem for text in policies for problem in broken(tmp_path, text)]
    requests = re.findall(r"(?ms)^```json\n(.*?)^```", page)
    assert requests and [msgspec.json.decode(text, type=Request).action for text in requests] == ["deliver"]
    for name in (*get_args(Action), *get_args(Touches), *Facts.__struct_fields__):
        assert re.search(rf"\b{name}\b", page), name
