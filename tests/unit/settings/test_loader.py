from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings import schema_tree
from settings.loader import InvalidSettings, load, masked
from settings.problems import Problem
from settings.schema import Deployment, Environment, Settings

# Nine lines, each a list of ten times the one before.
LIST_BOMB = "l0: &l0 [x]\n" + "".join(
    f"l{number}: &l{number} [{', '.join([f'*l{number - 1}'] * 10)}]\n" for number in range(1, 9)
)


class Write(Protocol):
    def __call__(self, text: str, name: str = "clubsync.toml") -> dict[str, str]: ...


@pytest.fixture
def config(tmp_path: Path) -> Write:
    """Write a settings file; answers the environment that names it."""

    def write(text: str, name: str = "clubsync.toml") -> dict[str, str]:
        path = tmp_path / name
        path.write_text(text)
        return {"CLUBSYNC_CONFIG": str(path)}

    return write


def mistakes(environ: dict[str, str]) -> list[str]:
    with pytest.raises(InvalidSettings) as caught:
        load(environ)
    return str(caught.value).splitlines()


def test_without_any_configuration_everything_is_embedded() -> None:
    settings = load({}).settings
    assert settings.redis.url is None
    assert settings.database.url is None
    assert settings.providers.playhq.base_url is None
    assert settings.cms.kind == "embedded"
    assert list(settings.presets) == ["full", "quick", "data-only", "validation-only", "minimal"]


def test_defaults_in_the_schema_are_those_of_the_file() -> None:
    named: Any = {
        "presets": True,
        "freshness": True,
        "scheduler": {"entries"},
        "notifications": {"routes", "templates"},
    }
    assert Settings().model_dump(exclude=named) == load({}).settings.model_dump(exclude=named)


def test_each_layer_lies_over_the_one_before(config: Write) -> None:
    file = config('[worker]\nprocesses = 3\ngreenlets = 7\n[web]\nhost = "10.0.0.1"\n')
    environ = {**file, "CLUBSYNC_ENV": "production", "CLUBSYNC_WORKER__GREENLETS": "9"}
    loaded = load(environ, overrides={"logging.level": "debug"})
    assert loaded.settings.redis.max_connections == 80
    assert loaded.settings.logging.format == "json"
    assert loaded.settings.worker.processes == 3
    assert loaded.settings.worker.greenlets == 9
    assert loaded.settings.logging.level == "debug"
    assert {
        "redis.namespace": "defaults.toml",
        "redis.max_connections": "preset production",
        "logging.format": "environment production",
        "web.host": file["CLUBSYNC_CONFIG"],
        "worker.processes": file["CLUBSYNC_CONFIG"],
        "worker.greenlets": "CLUBSYNC_WORKER__GREENLETS",
        "logging.level": "config set",
    }.items() <= loaded.origins.items()


def test_platform_variables_and_our_own_name_the_same_settings() -> None:
    environ = {
        "REDIS_URL": "redis://a:1",
        "DATABASE_URL": "postgres://u:p@h/d",
        "PORT": "81",
        "CLUBSYNC_HOME": "/data",
        "CLUBSYNC_WEB__PORT": "82",
        "CLUBSYNC_PROVIDERS__PLAYHQ__API_KEY": "0123",
        "CLUBSYNC_HTTP__PROXIES": "http://a:1, http://b:2",
        "CLUBSYNC_NOTIFICATIONS__SLACK__CHANNEL": "#ops",
        "CLUBSYNC_LOGGING__LEVEL": "",
    }
    settings = load(environ).settings
    assert settings.redis.url is not None
    assert settings.redis.url.get_secret_value() == "redis://a:1"
    assert settings.database.url is not None
    assert settings.web.port == 82
    assert settings.home == Path("/data")
    assert settings.providers.playhq.api_key is not None
    assert settings.providers.playhq.api_key.get_secret_value() == "0123"
    assert [proxy.get_secret_value() for proxy in settings.http.proxies] == ["http://a:1", "http://b:2"]
    assert settings.notifications.slack.channel == "#ops"
    assert settings.logging.level == "info"


def test_a_list_may_be_written_as_one_in_a_variable() -> None:
    settings = load({"CLUBSYNC_HTTP__PROXIES": '["http://a:1", "http://b:2"]'}).settings
    assert len(settings.http.proxies) == 2


def test_a_list_replaces_the_list_of_an_earlier_layer(config: Write) -> None:
    environ = config('[http]\nproxies = ["http://a:1"]\n') | {"CLUBSYNC_HTTP__PROXIES": "http://b:2"}
    assert [proxy.get_secret_value() for proxy in load(environ).settings.http.proxies] == ["http://b:2"]


def test_a_file_may_choose_environment_and_deployment(config: Write) -> None:
    settings = load(config('environment = "production"\ndeployment = "small-dyno"\n')).settings
    assert settings.environment is Environment.PRODUCTION
    assert settings.deployment is Deployment.SMALL_DYNO
    assert settings.worker.greenlets == 12


def test_an_empty_table_keeps_what_the_defaults_say(config: Write) -> None:
    settings = load(config("[presets.quick]\n[presets.mine]\n")).settings
    assert not settings.presets["quick"].validation
    assert settings.presets["mine"].games


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "redis:\n  namespace: other\n"),
        ("a.yml", "Redis:\n  Namespace: other\n"),
        ("a.json", '{"redis": {"namespace": "other"}}'),
        ("a.toml", '[REDIS]\nNAMESPACE = "other"\n'),
    ],
)
def test_a_file_may_be_toml_yaml_or_json_in_any_case(config: Write, name: str, text: str) -> None:
    assert load(config(text, name)).settings.redis.namespace == "other"


def test_five_mistakes_in_a_file_give_five_lines_with_file_key_value_and_advice(config: Write) -> None:
    environ = config(
        '[worker]\ngreenlets = 0\n[web]\nport = "eighty"\n[redis]\nurl = "http://h"\n'
        '[providers.playhq]\napi_kye = "hunter2"\n[scheduler.entries.late]\ncron = "0 25 * * *"\n'
    )
    path = environ["CLUBSYNC_CONFIG"]
    lines = mistakes(environ)
    assert sorted(line.split(": ", 1)[1].split(" = ")[0] for line in lines) == [
        "providers.playhq.api_kye",
        "redis.url",
        "scheduler.entries.late.cron",
        "web.port",
        "worker.greenlets",
    ]
    assert all(line.startswith(f"{path}: ") for line in lines)
    assert f"{path}: worker.greenlets = 0: should be greater than or equal to 1" in lines
    assert any(line.endswith("did you mean providers.playhq.api_key?") for line in lines)


def test_mistakes_of_file_and_variables_are_reported_together_even_for_one_key(config: Write) -> None:
    environ = config("[worker]\ngreenlets = 0\n") | {"CLUBSYNC_WORKER__GREENLETS": "many", "PORT": "99999"}
    lines = mistakes(environ)
    assert [line.split(": ")[0] for line in lines] == [
        environ["CLUBSYNC_CONFIG"],
        "PORT",
        "CLUBSYNC_WORKER__GREENLETS",
    ]


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("CLUBSYNC_WORKER__GREENLET", "CLUBSYNC_WORKER__GREENLETS"),
        ("CLUBSYNC_REDIS_URL", "CLUBSYNC_REDIS__URL"),
        ("CLUBSYNC_PLAYHQ__API_KEY", "CLUBSYNC_PROVIDERS__PLAYHQ__API_KEY"),
        ("CLUBSYNC_SCHEDULER__ENTRIES__NIGHTLY__SPREAD", "CLUBSYNC_SCHEDULER__ENTRIES__NIGHTLY__SPREAD_S"),
    ],
)
def test_an_unknown_variable_is_a_mistake_that_names_the_nearest(variable: str, meant: str) -> None:
    (line,) = mistakes({variable: "x"})
    assert line.startswith(f"{variable}: ")
    assert line.endswith(f"unknown setting; did you mean {meant}?")


def test_an_unknown_section_lists_those_there_are(config: Write) -> None:
    (line,) = mistakes(config("[zzz]\nqqq = 1\n"))
    assert "zzz.qqq = 1: unknown setting; the top level has environment, deployment, " in line


def test_an_unknown_key_without_a_near_one_lists_what_there_is(config: Write) -> None:
    (line,) = mistakes(config("[logging]\nzzz = 1\n"))
    assert line.endswith("logging.zzz = 1: unknown setting; logging has level, format")


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.toml", '[redis]\nnamespace = "x\n', "is not valid TOML: Illegal character '\\n' (at line 2"),
        ("a.yaml", "redis: [\n", "is not valid YAML: while parsing a flow node"),
        ("a.json", '{"redis": \n x}', "is not valid JSON: Expecting value: line 2 column 2"),
        ("a.ini", "[redis]\n", "should end in .toml, .yaml, .yml or .json"),
        ("a.toml", "a = 1\na = 2\n", "is not valid TOML"),
        ("a.yaml", LIST_BOMB, "is not valid YAML: should have at most 10000 values"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_one_mistake_beside_the_others(
    config: Write, name: str, text: str, reason: str
) -> None:
    environ = config(text, name)
    first, second = mistakes(environ | {"PORT": "x"})
    assert first.startswith(f"{environ['CLUBSYNC_CONFIG']}: {reason}")
    assert second.startswith("PORT: web.port")


def test_a_missing_file_a_folder_and_a_binary_file_are_mistakes(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.toml").mkdir()
    for name in ("missing.toml", "folder.toml", "binary.toml"):
        (line,) = mistakes({"CLUBSYNC_CONFIG": str(tmp_path / name)})
        assert line.startswith(str(tmp_path / name))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("redis = 5\n", "redis"),
        ("[worker]\ngreenlets = true\n", "worker.greenlets"),
        ("[worker]\ngreenlets = 2.5\n", "worker.greenlets"),
        ("[worker]\ngrace_s = nan\n", "worker.grace_s"),
        ("[worker]\ngrace_s = inf\n", "worker.grace_s"),
        ('[http]\nproxies = ["socks9://x"]\n', "http.proxies"),
        ("[http]\nproxies = 7\n", "http.proxies"),
        ('[cms]\nkind = "strapi"\n', "cms.strapi.token"),
        ('[cms.strapi]\nversion = "v6"\n', "cms.strapi.version"),
        ("[http]\nretry_base_s = 9.0\n", "http.retry_base_s"),
        ('[scheduler.entries.a]\npreset = "full"\n', "scheduler.entries.a.cron"),
        ('[scheduler.entries.a]\ncron = "* * * * *"\nevery_s = 5\n', "scheduler.entries.a.cron"),
        ('[scheduler.entries.a]\ncron = "0 0 30 2 *"\n', "scheduler.entries.a.cron"),
        ('[scheduler.entries.a]\ncron = "0 0 31 feb,4-6/2,nov *"\n', "scheduler.entries.a.cron"),
        ('[scheduler.entries.a]\nevery_s = 5\npreset = "fast"\n', "scheduler.entries.a.preset"),
        ('[scheduler.entries.a]\nevery_s = 5\nzone = "Mars/Base"\n', "scheduler.entries.a.zone"),
        ("[scheduler.entries.a]\nevery_s = 5\njitter_s = 5\n", "scheduler.entries.a.jitter_s"),
        ("[scheduler.entries.Big_Name]\nevery_s = 5\n", "scheduler.entries.big_name"),
        ('[notifications.mail]\nhost = "mx"\n', "notifications.mail.recipients"),
        ('[notifications.mail]\nusername = "u"\n', "notifications.mail.password"),
        ('[notifications.webhook]\nurl = "https://h/x"\n', "notifications.webhook.secret"),
        ('environment = "prod"\n', "environment"),
    ],
)
def test_a_bad_value_is_one_mistake_at_its_key(config: Write, text: str, key: str) -> None:
    environ = config(text)
    (line,) = mistakes(environ)
    assert line.startswith(f"{environ['CLUBSYNC_CONFIG']}: {key} = ")


@pytest.mark.parametrize(
    "cron", ["0 0 29 2 *", "0 0 31 2-3 *", "0 0 30,1 2 *", "0 0 31 */2 *", "0 0 */5 feb *"]
)
def test_a_cron_that_comes_sometimes_is_valid(config: Write, cron: str) -> None:
    settings = load(config(f'[scheduler.entries.a]\ncron = "{cron}"\n')).settings
    assert settings.scheduler.entries["a"].cron == cron


def test_a_name_that_comes_twice_in_a_variable_is_a_mistake() -> None:
    twice = '{"full": {"games": false}, "full": {"games": true}}'
    (line,) = mistakes({"CLUBSYNC_PRESETS": twice})
    assert line.startswith("CLUBSYNC_PRESETS: presets = ")
    assert line.endswith("should be a table with settings of its own, which this is not: full is there twice")


def test_secrets_show_up_neither_in_mistakes_nor_in_what_is_shown(config: Write) -> None:
    environ = config(
        '[providers.playhq]\napi_kye = "hunter2"\n[redis]\nurl = "http://u:hunter2@h"\n'
        '[http]\nproxies = ["ftp://u:hunter2@h"]\n[cms.strapi]\nbase_url = "ftp://u:hunter2@h"\n'
        '[notifications]\nslack = "hunter2"\ntoken = ["hunter2"]\n'
    )
    environ["CLUBSYNC_PROVIDERS"] = '{"playhq": {"api_key": "hunter2", "api_key": "hunter2"}}'
    assert "hunter2" not in "\n".join(mistakes(environ))
    shown = masked(
        load(
            {
                "REDIS_URL": "redis://u:hunter2@h",
                "CLUBSYNC_PROVIDERS__PLAYHQ__API_KEY": "hunter2",
                "CLUBSYNC_PROVIDERS__PLAYHQ__BASE_URL": "https://u:hunter2@h",
                "CLUBSYNC_HTTP__PROXIES": "http://u:hunter2@h:1",
            }
        ).settings
    )
    assert "hunter2" not in json.dumps(shown)


def test_the_fingerprint_changes_with_a_value_and_only_then() -> None:
    assert load({}).fingerprint == load({}).fingerprint
    assert load({}).fingerprint != load({"CLUBSYNC_LOGGING__LEVEL": "debug"}).fingerprint


def test_the_fingerprint_is_the_same_in_all_processes_of_an_installation() -> None:
    environ = {"PORT": "81", "REDIS_URL": "redis://h", "CLUBSYNC_HOME": "/data"}
    assert load({}).fingerprint == load(environ).fingerprint


def test_loading_leaves_no_trace_for_the_next_load() -> None:
    load({"PORT": "81"}, overrides={"worker.greenlets": 3})
    assert load({}).settings.web.port == 8000
    assert load({}).settings.worker.greenlets == 32


def test_the_entries_of_a_mapping_keep_their_case_and_are_set_one_by_one(config: Write) -> None:
    environ = config('[CMS.Strapi.type_labels]\ntwoDay = "Two days"\nhundred = "100"\n')
    variable = {"CLUBSYNC_CMS__STRAPI__SEASON_LABELS": '{ACTIVE = "Now"}'}
    strapi = load(environ | variable).settings.cms.strapi
    assert strapi.type_labels == {
        "oneDay": "One Day",
        "twoDay": "Two days",
        "t20": "T20",
        "hundred": "100",
    }
    assert strapi.season_labels == {"UPCOMING": "Upcoming", "ACTIVE": "Now", "COMPLETED": "Completed"}


@pytest.mark.parametrize(
    "text",
    ["@read_file /etc/hostname", "@jinja {{ 7 * 7 }}", "@format {env[HOME]}", "@int 7", "@none", " @here"],
)
def test_dynaconfs_commands_are_plain_text_in_every_layer(config: Write, text: str) -> None:
    written = config(json.dumps({"notifications": {"slack": {"channel": text}}}), "a.json")
    variable = {"CLUBSYNC_NOTIFICATIONS__SLACK__CHANNEL": text}
    override = {"notifications.slack.channel": text}
    for loaded in (load(written), load(variable), load({}, overrides=override)):
        assert loaded.settings.notifications.slack.channel == text


@pytest.mark.parametrize("name", ["dynaconf_merge", "dynaconf_include", "load_dotenv", "keys", "to_dict"])
def test_names_that_mean_something_to_dynaconf_are_unknown_settings(config: Write, name: str) -> None:
    for text in (f"{name} = 1\n", f"[redis]\n{name} = 1\n"):
        (line,) = mistakes(config(text))
        assert f"{name} = " in line
        assert "unknown setting" in line


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["@int x", "@get x", "dynaconf_merge", "http://[", "redis://u:p@h", "0 1 * * *"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
KEYS = st.sampled_from([known.dotted.replace("*", "abc") for known in schema_tree.known_keys()])


@given(values=st.dictionaries(KEYS | st.sampled_from(["redis", "presets", "a.b"]), ANYTHING, max_size=4))
def test_whatever_is_written_is_loaded_or_refused_in_words(values: dict[str, Any]) -> None:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {}) if isinstance(place.get(section, {}), dict) else {}
        place[name] = value
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(tree, file)
        file.flush()
        problems: tuple[Problem, ...] = ()
        try:
            load({"CLUBSYNC_CONFIG": file.name}, overrides=dict(list(values.items())[:1]))
        except InvalidSettings as error:
            problems = error.problems
    assert all(problem.place and problem.advice for problem in problems)


@pytest.mark.parametrize(
    "text", ['{"hourly": {"every_s": 3600}}', "{hourly = {every_s = 3600}}", "{ HOURLY = {Every_S = 3600} }"]
)
def test_a_whole_section_may_be_one_variable_in_json_or_toml(text: str) -> None:
    entries = load({"CLUBSYNC_SCHEDULER__ENTRIES": text}).settings.scheduler.entries
    assert entries["hourly"].every_s == 3600
    assert "nightly" in entries


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("twice.json", '{"logging": {"level": "info", "level": "debug"}}', "logging.level is there twice"),
        (
            "twice.yaml",
            "logging:\n  level: info\n  level: debug\n",
            "logging.level is there twice, in lines 2 and 3",
        ),
        ("list.json", "[]", "should hold sections with settings"),
        ("deep.json", "[" * 100_000, "is not valid JSON"),
        (
            "bomb.yaml",
            "a0: &a0 {}\n"
            + "".join(
                f"a{depth}: &a{depth} {{{', '.join(f'k{n}: *a{depth - 1}' for n in range(9))}}}\n"
                for depth in range(1, 12)
            ),
            "at most 10000 values",
        ),
    ],
)
def test_a_file_that_only_looks_like_settings_is_refused_in_a_sentence(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InvalidSettings, match=told):
        load({"CLUBSYNC_CONFIG": str(path)})


def test_a_variable_that_is_nested_without_end_is_a_mistake_like_any_other() -> None:
    with pytest.raises(InvalidSettings, match=r"CLUBSYNC_SCHEDULER__ENTRIES: .*should be a table"):
        load({"CLUBSYNC_SCHEDULER__ENTRIES": '{"a":' * 5000 + "1" + "}" * 5000})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sync.look_back_days", "99999999999"),
        ("sync.lease_s", "1e308"),
        ("sync.grade_concurrency", "100000000"),
        ("retention.runs_days", "1e300"),
        ("scheduler.entries.often.every_s", "1e300"),
    ],
)
def test_a_number_that_no_clock_or_machine_can_hold_is_a_mistake(key: str, value: str) -> None:
    variable = f"CLUBSYNC_{key.upper().replace('.', '__')}"
    (line,) = mistakes({variable: value})
    assert "less than or equal to" in line
