"""Settings: sources and their order, mistakes all at once, and secrets that stay hidden."""

from pathlib import Path
from typing import Any

import pytest

from kafka_rest import settings as s
from kafka_rest.settings import documents
from kafka_rest.settings.secrets import HIDDEN, is_secret, without_credentials
from kafka_rest.settings.table import TABLE


def write(folder: Path, text: str) -> str:
    path = folder / "kafka-rest.properties"
    path.write_bytes(text.encode("latin-1"))
    return str(path)


def test_defaults_are_valid() -> None:
    settings = s.load()
    assert settings[s.PORT] == 8082
    assert settings[s.CONSUMER_REQUEST_TIMEOUT_MS] == 1000
    assert settings[s.SCHEMA_REGISTRY_URL] == ("http://localhost:8081",)


def test_command_line_wins_over_environment_wins_over_file(tmp_path: Path) -> None:
    path = write(tmp_path, "port=1\nid=file\nhost.name=file\n")
    environ = {"KAFKA_REST_ID": "environment", "KAFKA_REST_HOST_NAME": "environment"}
    settings = s.load(path, environ, ["host.name=override"])
    assert (settings[s.PORT], settings[s.ID], settings[s.HOST_NAME]) == (
        1,
        "environment",
        "override",
    )
    assert settings.origin("port") == f"{path} line 1"
    assert settings.origin("id") == "environment KAFKA_REST_ID"
    assert settings.origin("host.name") == "command line"
    assert settings.origin("debug") == "default"


def test_file_has_escapes_continuations_and_comments(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "# no\n! no\nid : a\\u00fcb\nhost.name a\\\n   b\nconsumer.client.id=  x  \nport=\\\n 7\n",
    )
    settings = s.load(path)
    assert (settings[s.ID], settings[s.HOST_NAME], settings[s.PORT]) == ("aüb", "ab", 7)
    assert settings.passed_through["consumer.client.id"] == "x"


def test_mark_of_an_editor_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    assert s.load(write(tmp_path, "\xef\xbb\xbfport=7\n"))[s.PORT] == 7


@pytest.mark.parametrize(
    ("variable", "key"),
    [
        ("KAFKA_REST_BOOTSTRAP_SERVERS", "bootstrap.servers"),
        ("KAFKA_REST_CLIENT_SECURITY_PROTOCOL", "client.security.protocol"),
        ("KAFKA_REST_PRODUCER_A__B", "producer.a_b"),
        ("KAFKA_REST_PRODUCER_A___B", "producer.a-b"),
    ],
)
def test_variable_is_named_as_in_the_container_image(variable: str, key: str) -> None:
    settings = s.load(environ={variable: "h:1"})
    assert settings.origin(key) == f"environment {variable}"


def test_every_setting_has_a_variable_of_its_own() -> None:
    variables = {row.variable for row in TABLE.values()}
    assert len(variables) == len(TABLE)


def test_other_variables_are_no_settings() -> None:
    environ = {"KAFKA_REST_CONFIG": "x", "KAFKA_REST_TEST_HOME": "x", "PATH": "x"}
    assert s.load(environ=environ).passed_through == {}


MISTAKES = [
    ("port", "x", "a whole number from 1 to 65535"),
    ("port", "70000", "from 1 to 65535"),
    ("debug", "maybe", "true or false"),
    ("listeners", "ftp://h:1", "http://HOST:PORT"),
    ("listeners", "http://h", "http://HOST:PORT"),
    ("listeners", "ftp://h:1", "http://HOST:PORT or https://HOST:PORT"),
    ("management.listeners", "https://h:1", "a comma-separated list of http://HOST:PORT"),
    ("bootstrap.servers", "nohost", "HOST:PORT"),
    ("bootstrap.servers", "", "HOST:PORT"),
    ("schema.registry.url", "localhost:8081", "http"),
    ("schema.registry.url", "http://h:99999", "http"),
    ("server.trusted.proxies", "10.0.0.0/99", "networks"),
    ("server.worker.class", "gevent", "gthread"),
    ("response.mediatype.default", "x", "media type"),
    ("authentication.method", "DIGEST", "NONE, or one or more of BASIC, BEARER"),
    ("consumer.instance.timeout.ms", "-1", "a whole number"),
    ("consumer.long.polls.max", "0", "1"),
    ("cluster.peers", "a", "'a' needs a URL"),
    ("cluster.peers", "a=http://h:1,=http://h:2", "'=http://h:2' needs an ID"),
    ("cluster.peers", "a b=http://h:1", "'a b=http://h:1' needs an ID"),
    ("cluster.peers", "a=ftp://h:1", "'a=ftp://h:1' needs a URL"),
    ("cluster.peers", "a=http://h:99999", "needs a URL"),
    ("cluster.peers", "a=http://h:1/x", "scheme, host and port only"),
    ("cluster.peers", "a=http://u:p@h:1", "scheme, host and port only"),
    ("cluster.peers", "a=http://h:1,a=http://h:2", "'a=http://h:2' names an ID or a URL"),
    ("cluster.peers", "a=http://h:1,b=http://h:1/", "'b=http://h:1/' names an ID or a URL"),
]


@pytest.mark.parametrize(("key", "value", "expected"), MISTAKES)
def test_mistake_names_key_value_place_and_cure(key: str, value: str, expected: str) -> None:
    with pytest.raises(s.SettingsError) as refused:
        s.load(overrides=[f"{key}={value}"])
    text = str(refused.value)
    shown = value.replace("u:p@", "")
    assert text.startswith(f"command line: {key}={shown} must be ")
    assert expected in text


PEERS = "cluster.peers=b=http://10.0.0.2:8082, a=https://[::1]/"
SECRET = "cluster.secret=0123456789abcdef"


def test_cluster_is_in_the_order_of_its_ids() -> None:
    found = s.cluster(s.load(overrides=["id=b", PEERS, SECRET]))
    peers = (s.Peer("a", "https://[::1]"), s.Peer("b", "http://10.0.0.2:8082"))
    assert found == (peers, 1, "0123456789abcdef")
    assert s.cluster(s.load()) == ((), 0, "")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["id=c", PEERS, SECRET], "command line: id=c must be one of the ids in cluster.peers"),
        ([PEERS, SECRET], "default: id= must be one of the ids in cluster.peers, which are a, b"),
        (["id=a", PEERS], "default: cluster.secret= must be at least 16 characters"),
        (["id=a", PEERS, "cluster.secret=hunter2"], "command line: cluster.secret=[hidden] must"),
        (["id=a", PEERS, SECRET, "consumer.pinning.listeners=true"], "unless host.name names"),
    ],
)
def test_cluster_that_is_not_whole_is_a_mistake(overrides: list[str], said: str) -> None:
    with pytest.raises(s.SettingsError) as refused:
        s.load(overrides=overrides)
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert len(refused.value.mistakes) == 1


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "port=x\ndebug=maybe\n")
    mistakes, _ = documents.problems(path, {"KAFKA_REST_SERVER_WORKERS": "0"}, ["nonsense"])
    assert len(mistakes) == 4


def test_mistake_in_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    text = "# \x85 ends no line\r\n\nhost.name=a\\\n  b\n\nport=9\ncluster.peers=\\\n  a\nport=x"
    path = write(tmp_path, text)
    with pytest.raises(s.SettingsError) as refused:
        s.load(path)
    said = [mistake.partition(" must be ")[0] for mistake in str(refused.value).splitlines()]
    assert said == [f"{path} line 7: cluster.peers=a", f"{path} line 9: port=x"]


def test_bad_escape_is_named_with_its_line_and_not_shown(tmp_path: Path) -> None:
    path = write(tmp_path, "port=1\nclient.sasl.password=a\\uhunter2\n")
    with pytest.raises(s.SettingsError) as refused:
        s.load(path)
    assert str(refused.value).startswith(f"{path} line 2: file={path} must be a readable")
    assert "hunt" not in str(refused.value)


def test_missing_file_is_a_mistake() -> None:
    with pytest.raises(s.SettingsError, match="Couldn't load properties from /nowhere"):
        s.load("/nowhere")


def test_misspelt_setting_is_named_with_what_was_meant() -> None:
    settings = s.load(overrides=["consumer.request.timeout=5", "schema.registry.urls=x"])
    warnings = s.warnings(settings)
    assert any("schema.registry.urls" in w and "schema.registry.url meant" in w for w in warnings)


def test_setting_for_the_registry_that_nobody_knows_is_named() -> None:
    settings = s.load(overrides=["schema.registry.ssl.keystore.key=hunter2"])
    (warning,) = s.warnings(settings)
    assert "schema.registry.ssl.keystore.key" in warning
    assert "hunter2" not in warning


def test_setting_without_effect_is_named_with_the_reason() -> None:
    warnings = s.warnings(s.load(overrides=["zookeeper.connect=h:1"]))
    assert len(warnings) == 1
    assert "zookeeper.connect" in warnings[0]


SECRETS = [
    "schema.registry.basic.auth.user.info=u:hunter2",
    "client.sasl.jaas.config=x.PlainLoginModule required username=u password=hunter2;",
    "producer.ssl.key.password=hunter2",
    "client.sasl.password=hunter2",
    "ssl.keystore.password=hunter2",
    "client.ssl.keystore.key=hunter2",
    "client.sasl.oauthbearer.client.secret=hunter2",
    "cluster.secret=hunter2",
    "client.sasl.oauthbearer.assertion.private.key.passphrase=hunter2",
    "client.ssl.key.pem=hunter2",
]
IN_URLS = [
    "schema.registry.url=http://me:hunter2@127.0.0.1:1",
    "schema.registry.url=http://me:h@unter2@127.0.0.1:1,https://you:hunter2@127.0.0.1",
    "client.sasl.oauthbearer.token.endpoint.url=https://me:hunter2@127.0.0.1/token",
    "authentication.jwks=https://127.0.0.1/keys?api_key=hunter2",
    "authentication.jwks=https://127.0.0.1/keys?a=',b\"&key=hunter2",
]
BAD = [
    "schema.registry.url=http://me:hunter2@127.0.0.1:99999",
    "schema.registry.url=http://me:hun/hunter2@127.0.0.1:1",
    "schema.registry.url=ftp://me:hunter2@127.0.0.1:1",
    "cluster.peers=a=http://me:hunter2@127.0.0.1:1,a=http://me:hunter2@127.0.0.1:1",
    "cluster.peers=a=http://127.0.0.1:1?key=hunter2",
    "authentication.jwks=ftp://127.0.0.1/keys?key=hunter2",
    "authentication.jwks=https:///keys?key=hunter2",
    "client.sasl.password hunter2",
    "client.sasl.password:hunter2",
]


@pytest.mark.parametrize("override", SECRETS)
def test_secret_is_shown_nowhere(override: str) -> None:
    settings = s.load(overrides=[override])
    listing = documents.listing(settings)
    assert HIDDEN in listing
    for text in (listing, repr(settings), str(s.warnings(settings))):
        assert "hunter2" not in text


@pytest.mark.parametrize("override", IN_URLS)
def test_url_is_shown_without_its_credentials(override: str) -> None:
    settings = s.load(overrides=[override])
    listing = documents.listing(settings)
    assert "//127.0.0.1" in listing
    for text in (listing, repr(settings), str(s.warnings(settings))):
        assert "unter2" not in text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("from http://me:p@h/a to https://h/b?c=d, e", "from http://h/a to https://h/b?[hidden] e"),
        ("https://h/a?b=c@d&e=f", "https://[hidden]"),
        ("https://me:p@h/a?b=c@d&e=f", "https://[hidden]"),
        ("https://me:p?q@h/a b", "https://[hidden] b"),
        ("http://h/a?", "http://h/a?"),
        ("what? //", "what? //"),
    ],
)
def test_text_is_shown_without_credentials_of_its_urls(text: str, left: str) -> None:
    assert without_credentials(text) == left


@pytest.mark.parametrize("override", BAD)
def test_mistake_tells_no_secret(override: str) -> None:
    with pytest.raises(s.SettingsError) as failure:
        s.load(overrides=[override])
    assert "hunter2" not in str(failure.value)
    assert override.partition("=")[0].partition(" ")[0].partition(":")[0] in str(failure.value)


@pytest.mark.parametrize(
    "key", ["ssl.key.location", "sasl.oauthbearer.token.endpoint.url", "bootstrap.servers"]
)
def test_where_a_secret_is_is_no_secret(key: str) -> None:
    assert not is_secret(f"client.{key}")


def test_listing_shows_every_setting_with_its_origin() -> None:
    listing = documents.listing(s.load(overrides=["port=9"]))
    for row in TABLE.values():
        assert f"\n{row.name} " in f"\n{listing}"
    assert "= 9  [command line]" in listing


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
def test_row_is_documented(row: Any) -> None:
    assert row.sentence.endswith((".", ".)"))
    assert f"`{row.name}`" in documents.markdown()


def test_reads_that_hold_threads_leave_a_quarter_of_them_free() -> None:
    assert s.thread_polls_max(s.load(overrides=["server.threads=16"])) == 12
    assert s.thread_polls_max(s.load(overrides=["server.threads=2"])) == 1


@pytest.mark.parametrize(
    ("overrides", "taken"),
    [
        (["port=9000"], "9000"),
        (["listeners=http://h:1,http://h:9000"], "9000"),
        (["port=8998", "consumer.pinning.listeners=true"], "9000"),
    ],
)
def test_management_port_is_no_other_ones(overrides: list[str], taken: str) -> None:
    own = "management.listeners=http://127.0.0.1:9000"
    assert len(s.load(overrides=[own])[s.MANAGEMENT_LISTENERS]) == 1
    with pytest.raises(s.SettingsError, match=f"another port than {taken}"):
        s.load(overrides=[own, *overrides])


def test_url_of_keys_has_no_password() -> None:
    for given in ("/etc/keys.json", "https://id.example/keys", "keys@home"):
        assert s.load(overrides=[f"authentication.jwks={given}"])[s.AUTHENTICATION_JWKS] == given
    with pytest.raises(s.SettingsError, match=r"authentication\.jwks") as failed:
        s.load(overrides=["authentication.jwks=https://svc:planted@id.example/keys"])
    assert "planted" not in str(failed.value)
    with pytest.raises(s.SettingsError, match="without blanks"):
        s.load(overrides=["authentication.jwks=https://id.example/ke ys"])
