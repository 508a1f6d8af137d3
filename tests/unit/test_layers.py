"""The layers of docs/design.md, read from the imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "kafka_rest"

LAYERS: dict[str, float] = {
    **dict.fromkeys(("records", "errors", "settings", "pinning", "metrics"), 0),
    # Still the ground floor, but it raises errors.
    "media": 0.5,
    "pulse": 0.5,
    "answers": 0.5,
    **dict.fromkeys(("formats", "schemas", "security"), 1),
    "kafka": 2,
    "core": 3,
    "api": 4,
    "app": 4.5,
    "server": 5,
    # Beside the product: a broker and a registry to develop with. Only the command line starts it.
    "devstack": 6,
}

OWNERS: dict[str, set[str]] = {
    "confluent_kafka": {"kafka", "devstack"},
    "requests": {"schemas"},
    "urllib3": {"schemas"},
    "re2": {"kafka", "formats"},
    "avro": {"formats", "devstack"},
    "google": {"formats"},
    "protoxy": {"formats"},
    "jsonschema": {"formats"},
    "referencing": {"formats"},
    "fastavro": {"formats"},
    "msgspec": {"formats", "kafka", "api", "server"},
    "flask": {"api", "app", "devstack"},
    "werkzeug": {"api", "app", "devstack"},
    "marshmallow": {"api"},
    "bcrypt": {"security"},
    "jwt": {"security"},
    "gunicorn": {"server"},
    "prometheus_client": {"server"},
    "click": {"server", "devstack"},
    "javaproperties": {"settings"},
}

DEVSTACK_STARTERS = {"server/cli.py"}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = node.module or ""
            yield from (f"{base}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_module_imports_only_from_below_or_its_own_room(path: Path) -> None:
    if path == ROOT / "__init__.py":
        return
    own = room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "kafka_rest" or parts[1] in ("__version__", own):
            continue
        if parts[1] == "devstack" and str(path.relative_to(ROOT)) in DEVSTACK_STARTERS:
            continue
        assert LAYERS[parts[1]] < LAYERS[own], f"{own} may not import {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_third_party_package_is_imported_in_its_rooms_only(path: Path) -> None:
    own = room(path)
    for name in imports(path):
        owners = OWNERS.get(name.split(".")[0])
        assert owners is None or own in owners, f"{own} may not import {name}"
