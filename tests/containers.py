"""The Dockerfile and compose.yaml as data."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M)
    joined = re.sub(r"\\\n\s*", "", text)
    return [(line.split()[0], line.split(None, 1)[1]) for line in joined.splitlines() if line]


def arguments(name: str) -> list[str]:
    """What stands behind each instruction of a name."""
    return [rest for instruction, rest in instructions() if instruction == name]


def compose() -> dict[str, Any]:
    """The composition, anchors resolved."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


def copied() -> list[str]:
    """What the image is built from: files and folders of the tree."""
    return [
        source
        for words in arguments("COPY")
        if not words.startswith("--from")
        for source in words.split()[:-1]
    ]
