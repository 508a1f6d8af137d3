"""What is made from the table: the listing, the shipped properties file, the page of settings."""

from collections.abc import Iterable, Mapping
from textwrap import wrap

from kafka_rest.settings.load import Settings, SettingsError, load, warnings
from kafka_rest.settings.secrets import shown
from kafka_rest.settings.table import TABLE
from kafka_rest.settings.types import AnySetting

WIDTH = 100
_WHERE_FROM = """\
A value comes from, in rising precedence: the default, the properties file, an environment variable,
`--set KEY=VALUE` on the command line. The variable of `bootstrap.servers` is
`KAFKA_REST_BOOTSTRAP_SERVERS`, and so on.

Other keys go to the Kafka clients: `client.*` to all, `producer.*`, `consumer.*` and `admin.*` to
one kind (the more specific one wins), keys without a prefix to producers and consumers as in v1 of
the reference. librdkafka's names and those of the Java clients are understood; what has no
counterpart is named in a warning at the start."""
IMPORTANCES = ("high", "medium", "low")


def listing(settings: Settings) -> str:
    """Every setting with its value and where it came from; secrets hidden."""
    rows = [(row.name, _shown(settings, row), settings.origin(row.name)) for row in TABLE.values()]
    rows += [
        (key, shown(key, value), settings.origin(key))
        for key, value in sorted(settings.passed_through.items())
    ]
    width = max(len(name) for name, _, _ in rows)
    return "\n".join(f"{name:<{width}} = {value}  [{origin}]" for name, value, origin in rows)


def problems(
    path: str | None, environ: Mapping[str, str], overrides: Iterable[str]
) -> tuple[list[str], list[str]]:
    """The mistakes and the warnings that a start with these sources would print."""
    try:
        return [], warnings(load(path, environ, overrides))
    except SettingsError as error:
        return [str(mistake) for mistake in error.mistakes], []


def properties_file() -> str:
    """The shipped properties file: every setting, commented out, the important ones first."""
    lines = [
        "# Settings of the Kafka REST Proxy. Each line shows a default; remove the # to change it.",
        "# Settings for the Kafka clients go through: client.* to all of them, producer.*,",
        "# consumer.* and admin.* to one kind, by the names of librdkafka or of the Java clients.",
    ]
    for row in _sorted():
        if not row.ignored:
            lines += ["", *(f"# {line}" for line in wrap(row.sentence, WIDTH - 2))]
            lines.append(f"#{row.name}={row.default}")
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """The page docs/settings.md."""
    rows = [row for row in _sorted() if not row.ignored]
    ignored = [row for row in _sorted() if row.ignored]
    return "\n".join(
        [
            "# Settings",
            "",
            "Made from the table in `kafka_rest/settings/table.py` by `make docs`.",
            "",
            *_WHERE_FROM.splitlines(),
            "",
            "| setting | default | meaning | importance | reference has it |",
            "|---|---|---|---|---|",
            *(_table_row(row) for row in rows),
            "",
            "## Accepted and without effect",
            "",
            "Settings of the reference that old files hold; a warning at the start names "
            "those set.",
            "",
            "| setting | why |",
            "|---|---|",
            *(f"| `{row.name}` | {row.ignored} |" for row in ignored),
            "",
        ]
    )


def _sorted() -> list[AnySetting]:
    return sorted(TABLE.values(), key=lambda row: IMPORTANCES.index(row.importance))


def _table_row(row: AnySetting) -> str:
    default = f"`{row.default}`" if row.default else "(empty)"
    known = "no" if row.ours else "yes"
    return f"| `{row.name}` | {default} | {row.sentence} | {row.importance} | {known} |"


def _shown(settings: Settings, row: AnySetting) -> str:
    return shown(row.name, settings.given(row))
