"""Loading: precedence, and problems that name the place, the fault and the remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from meliora.errors import Problem, SettingsError
from meliora.settings.load import Loaded, load, read

SECRET = "sk-proj-AbCdEfGhIjKlMnOpQrStUvWx0123456789"


def written(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Loaded:
    file = tmp_path / "meliora.toml"
    file.write_text(text, encoding="utf-8")
    return read(file, environ or {})


def only(loaded: Loaded) -> Problem:
    assert len(loaded.problems) == 1, loaded.problems
    return loaded.problems[0]


def test_without_file_and_variables_everything_has_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(environ={}).server.port == 8700


def test_the_file_of_the_working_directory_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meliora.toml").write_text("[server]\nport = 9000\n")
    monkeypatch.chdir(tmp_path)
    assert load(environ={}).server.port == 9000


def test_a_file_can_be_named_by_a_variable_and_by_the_caller_who_wins(tmp_path: Path) -> None:
    for port in (1001, 1002):
        (tmp_path / f"{port}.toml").write_text(f"[server]\nport = {port}\n")
    environ = {"MELIORA_CONFIG": str(tmp_path / "1001.toml")}
    assert load(environ=environ).server.port == 1001
    assert load(tmp_path / "1002.toml", environ).server.port == 1002


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    problem = only(read(tmp_path / "none.toml", {}))
    assert "none.toml" in problem.where and "cannot be read" in problem.what


def test_a_directory_in_the_place_of_the_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container platform makes one where it is told to mount a file that is not there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "meliora.toml").mkdir()
    [problem] = read(environ={}).errors
    assert "directory" in str(problem)


def test_a_variable_goes_over_the_file_and_leaves_its_neighbours(tmp_path: Path) -> None:
    text = '[gateway.timeouts]\nconnect = 1\nstall = 2\n[providers.a]\nbase_url = "http://h/v1"\n'
    environ = {"MELIORA_GATEWAY__TIMEOUTS__CONNECT": "7.5", "MELIORA_PROVIDERS__A__WEIGHT": "3"}
    settings = written(tmp_path, text, environ).settings
    assert settings is not None
    assert (settings.gateway.timeouts.connect, settings.gateway.timeouts.stall) == (7.5, 2)
    assert (settings.providers["a"].weight, settings.providers["a"].base_url) == (3, "http://h/v1")


@pytest.mark.parametrize("value", ['["x", "y"]', "['x', 'y']", '[\n"x",\n"y"]'])
def test_a_list_may_be_json_or_toml(tmp_path: Path, value: str) -> None:
    text = '[providers.a]\nbase_url = "http://h/v1"\n'
    settings = written(tmp_path, text, {"MELIORA_PROVIDERS__A__MODELS": value}).settings
    assert settings is not None and settings.providers["a"].models == ["x", "y"]


def test_a_table_may_be_json_and_a_part_of_it_another_variable(tmp_path: Path) -> None:
    environ = {
        "MELIORA_PROVIDERS": '{"a": {"base_url": "http://h/v1", "weight": 2}}',
        "MELIORA_PROVIDERS__A__WEIGHT": "5",
        "MELIORA_ALIASES": '{ smart = "a/x" }',
        "MELIORA_PROVIDERS__A__PASSTHROUGH": "true",
    }
    settings = written(tmp_path, "", environ).settings
    assert settings is not None
    assert settings.providers["a"].weight == 5 and settings.aliases == {"smart": "a/x"}


def test_names_in_variables_meet_names_that_a_variable_cannot_spell(tmp_path: Path) -> None:
    text = '[providers.My-Azure]\nbase_url = "http://h/v1"\nmodels = ["gpt-5.1"]\n[models."gpt-5.1"]\n'
    environ = {"MELIORA_PROVIDERS__MY_AZURE__REGION": "eu", "MELIORA_MODELS__GPT_5_1__TIER": "deep"}
    settings = written(tmp_path, text, environ).settings
    assert settings is not None
    assert settings.providers["My-Azure"].region == "eu" and settings.models["gpt-5.1"].tier == "deep"


def test_an_empty_variable_is_not_set_unless_it_is_a_text(tmp_path: Path) -> None:
    text = '[server]\nport = 9\n[store]\nurl = "sqlite:///x"\n'
    environ = {"MELIORA_SERVER__PORT": "", "MELIORA_STORE__URL": "", "MELIORA_ALIASES": " "}
    settings = written(tmp_path, text, environ).settings
    assert settings is not None and settings.server.port == 9 and settings.store.url == ""


def test_what_a_container_platform_injects_is_passed_over(tmp_path: Path) -> None:
    environ = {
        "MELIORA_SERVICE_HOST": "10.0.0.1",
        "MELIORA_SERVICE_PORT": "8700",
        "MELIORA_PORT": "tcp://10.0.0.1:8700",
        "MELIORA_PORT_8700_TCP_ADDR": "tcp://10.0.0.1",
    }
    assert written(tmp_path, "", environ).problems == ()


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("MELIORA_SERVER_PORT", "MELIORA_SERVER__PORT"),
        ("MELIORA_PORT", "MELIORA_SERVER__PORT"),
        ("MELIORA_SERVER__PROT", "MELIORA_SERVER__PORT"),
        ("MELIORA_GATEWAY__TIMEOUTS__STALLL", "MELIORA_GATEWAY__TIMEOUTS__STALL"),
    ],
)
def test_a_mistyped_variable_is_an_error_that_names_the_right_one(tmp_path: Path, variable: str, hint: str) -> None:
    problem = only(written(tmp_path, "", {variable: "8800"}))
    assert (problem.where, problem.severity) == (variable, "error") and hint in problem.write


def test_a_variable_of_somebody_else_is_only_a_warning(tmp_path: Path) -> None:
    loaded = written(tmp_path, "", {"MELIORA_RELEASE_BRANCH": "main"})
    assert only(loaded).severity == "warning" and loaded.settings is not None


def test_all_problems_are_found_at_once_each_with_its_line(tmp_path: Path) -> None:
    loaded = written(
        tmp_path,
        """[server]
prot = 1
port = "abc"

[gateway.timeouts]
connect = -1

[models.x]
tier = "depp"
endpoints = [
  { provider = "nobody" },
]

[[rules]]
pattern = "a"
preferred_layer = "fast"

[[rules]]
pattern = "(?=b)"
preferred_layer = "deep"
""",
        {"LEARNING_RATE": "much"},
    )
    texts = {problem.where.removeprefix(str(tmp_path) + "/"): problem for problem in loaded.errors}
    assert loaded.settings is None
    assert texts["meliora.toml:2"].write == "Did you mean port?"
    assert "whole" in texts["meliora.toml:3"].what or "integer" in texts["meliora.toml:3"].what
    assert "gateway.timeouts.connect" in texts["meliora.toml:6"].what
    assert texts["meliora.toml:9"].write == 'Write tier = "deep".'
    assert "'nobody'" in texts["meliora.toml:10"].what
    assert "RE2" in texts["meliora.toml:19"].what
    assert "learning.rate" in texts["LEARNING_RATE"].what
    assert len(loaded.errors) == 7


def test_a_setting_in_the_wrong_section_is_shown_the_right_one(tmp_path: Path) -> None:
    assert "server.port" in only(written(tmp_path, "[gateway]\nport = 1\n")).write


def test_broken_toml_is_named_by_its_line(tmp_path: Path) -> None:
    problem = only(written(tmp_path, "[server]\nhost = localhost\n"))
    assert problem.where.endswith("meliora.toml:2") and "not TOML" in problem.what


def test_a_byte_order_mark_is_no_problem_and_latin_1_is_one(tmp_path: Path) -> None:
    file = tmp_path / "meliora.toml"
    file.write_bytes(b"\xef\xbb\xbf[server]\nport = 5\n")
    assert load(file, {}).server.port == 5
    file.write_bytes(b'[server]\nhost = "\xe9"\n')
    assert "UTF-8" in only(read(file, {})).what


@pytest.mark.parametrize(
    "text",
    [
        f'[providers.p]\nbase_url = "http://h/v1"\napi_key = "{SECRET}"\n',
        f'[providers.p]\nbase_url = "http://h/v1"\nheaders = {{ authorization = "Bearer {SECRET}" }}\n',
        f'[providers.p]\nbase_url = "http://h/v1"\nheaders = {{ x-custom = "{SECRET}" }}\n',
        f'[providers.p]\nbase_url = "http://h/v1"\nquery = {{ key = "{SECRET}" }}\n',
        f'[otlp]\nheaders = {{ x-api-key = "{SECRET}" }}\n',
        f'[providers.p]\nbase_url = "http://u:{SECRET}@h/v1"\n',
        f'[providers.p]\nkind = "{SECRET}"\n',
        f'[providers.p]\napi_kye = "{SECRET}"\nbase_url = "http://h/v1"\n',
        f'[server]\nport = "{SECRET}"\n',
        f"[server]\nport = {SECRET}\n",
    ],
)
def test_a_secret_that_is_written_out_is_refused_and_never_shown(tmp_path: Path, text: str) -> None:
    loaded = written(tmp_path, text)
    assert loaded.errors
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "meliora.toml", {})
    assert SECRET[8:20] not in f"{caught.value} {caught.value!r} {loaded.problems}"


def test_a_reference_that_leads_nowhere_is_a_warning(tmp_path: Path) -> None:
    text = '[providers.p]\nbase_url = "http://h/v1"\napi_key = "env:NOPE"\n'
    loaded = written(tmp_path, text)
    assert loaded.settings is not None and "NOPE" in only(loaded).what and only(loaded).severity == "warning"
    assert written(tmp_path, text, {"NOPE": "k"}).problems == ()


def test_a_key_file_that_others_can_read_is_a_warning(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k\n")
    text = f'[providers.p]\nbase_url = "http://h/v1"\napi_key = "file:{key}"\n'
    key.chmod(0o644)
    assert "chmod 600" in only(written(tmp_path, text)).write
    key.chmod(0o600)
    assert written(tmp_path, text).problems == ()
    key.unlink()
    assert "cannot be read" in only(written(tmp_path, text)).what


SERVED = '[providers.p]\nbase_url = "http://h/v1"\nmodels = ["gpt", "mini"]\n'
EMBEDDING = '[routing.cascade]\nagreement = "embedding"\nembedding_model = "{}"\n'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[providers.p]\n", "base_url is missing"),
        (SERVED + 'proxy = "https://h:3128"\n', "proxy is not the address of an HTTP proxy"),
        ('[providers.p]\nbase_url = "h:80"\n', "not an http"),
        ('[providers.p]\nbase_url = "http://h/v1?x=1"\n', "holds a query"),
        ('[providers.p]\nbase_url = "http://h/v1/chat/completions"\n', "ends with /chat/completions"),
        ('[providers.p]\nkind = "anthropic"\nbase_url = "http://h/v1/messages/"\n', "ends with /messages"),
        (SERVED + '[aliases]\na = "gtp"\n', "Did you mean 'gpt'?"),
        (SERVED + '[aliases]\ngpt = "mini"\n', "also the name of a model"),
        (SERVED + '[aliases]\nauto = "gpt"\n', "leaves the choice"),
        (SERVED + '[aliases]\na = "b"\nb = "a"\n', "circle"),
        (SERVED + "[models.other]\n", "served by no provider"),
        (SERVED + '[models.gpt]\nfallbacks = ["gpt"]\n', "to itself"),
        (SERVED + '[models.gpt]\nfallbacks = ["minni"]\n', "Did you mean 'mini'?"),
        (SERVED + '[models.gpt]\nfallbacks = ["mini"]\n[models.mini]\nfallbacks = ["gpt"]\n', "gpt -> mini -> gpt"),
        (SERVED + '[models."a b"]\nendpoints = [{ provider = "p" }]\n', "space"),
        (SERVED + '[[rules]]\npattern = "x"\npreferred_model = "gptt"\n', "served by no provider"),
        ('[[rules]]\nid = "r"\npattern = "x"\npreferred_layer = "fast"\n' * 2, "used by an earlier rule"),
        ('[[routing.scorers]]\nname = "s"\nkind = "regex"\npattern = "(?<=a)"\n', "refused by RE2"),
        ('[[routing.scorers]]\nname = "s"\nkind = "regex"\npattern = "a"\n' * 2, "'s' is taken"),
        ('[[routing.scorers]]\nname = "expected"\nkind = "regex"\npattern = "a"\n', "'expected' is taken"),
        ('[[routing.scorers]]\nname = "s"\nkind = "code"\n', "takes function"),
        ('[routing.embedding]\ntable = "a.vec"\nmodel = "m"\n', "not both"),
        ('[routing.embedding]\nmodel = "simulated-embedding"\n', "a model takes a key"),
        ('[routing.embedding]\nmodel = "simulated-embedding"\nkey = "sk-abcdef0123456789"\n', "literal value"),
        ('[routing.embedding]\nmodel = "nobody"\nkey = "env:K"\n', "'nobody' is served by no provider"),
        ('[routing.embedding]\ntable = "nowhere.vec"\n', "nowhere.vec, which is not a file here"),
        ('[routing.cascade]\nagreement = "embedding"\n', "takes an embedding_model"),
        (SERVED + EMBEDDING.format("minni"), "Did you mean 'mini'?"),
        (
            SERVED + '[models.mini]\ncapabilities = ["tools"]\n' + EMBEDDING.format("mini"),
            "does not declare embeddings",
        ),
        (SERVED + EMBEDDING.format("none"), "'none' is served by no provider"),
        (EMBEDDING.format("simulated-embedding") + "similarity = 1.5\n", "similarity"),
        ('[routing.dial]\nreference = "simulate-large"\n', "names 'simulate-large', which no provider serves"),
        ('[[rules]]\npattern = "x"\n', "names a preferred_layer"),
        ('[store]\nurl = "postgres://h/db"\n', "postgresql+psycopg://"),
        ('[server]\nhost = "0.0.0.0"\n[gateway]\nanonymous = true\n', "whoever reaches"),
        ('[providers.p]\nbase_url = "http://h/v1"\nca_file = "nowhere.pem"\n', "not a file"),
    ],
)
def test_what_does_not_hold_together_is_said(tmp_path: Path, text: str, what: str) -> None:
    loaded = written(tmp_path, text)
    assert any(what in str(problem) for problem in loaded.problems), loaded.problems


@pytest.mark.parametrize(
    "text",
    [
        SERVED + '[aliases]\na = "b"\nb = "gpt"\nc = "auto:fast"\n',
        SERVED + '[models.gpt]\nfallbacks = ["mini"]\ntier = "deep"\n',
        '[providers.p]\nbase_url = "http://h/v1"\npassthrough = true\n[aliases]\na = "p/any"\n',
        '[aliases]\nsmart = "simulated-large"\n',
        '[models.mine]\nendpoints = [{ provider = "simulated", model = "simulated-large" }]\n',
        '[providers.p]\nkind = "simulated"\nmodels = ["simulated-small"]\n',
        EMBEDDING.format("simulated-embedding"),
        SERVED + EMBEDDING.format("mini"),
    ],
)
def test_what_holds_together_is_left_in_peace(tmp_path: Path, text: str) -> None:
    assert written(tmp_path, text).problems == ()


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = [
    "server",
    "port",
    "providers",
    "models",
    "rules",
    "aliases",
    "gateway",
    "timeouts",
    "a",
    "endpoints",
    "pattern",
]


@limits(max_examples=100, deadline=None)
@given(
    tree=st.dictionaries(
        st.sampled_from(NAMES), junk | st.dictionaries(st.sampled_from(NAMES), junk, max_size=3), max_size=4
    ),
    names=st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4), max_size=3),
    value=st.text(max_size=12).filter(lambda text: "\0" not in text),
)
def test_whatever_is_written_the_answer_is_settings_or_problems(tree: dict, names: list[list[str]], value: str) -> None:
    environ = {"MELIORA_" + "__".join(parts).upper(): value for parts in names}
    environ["MELIORA_PROVIDERS"] = json.dumps(tree)
    loaded = read("/dev/null", environ)
    assert (loaded.settings is None) == bool(loaded.errors)
