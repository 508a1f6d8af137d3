"""A real Kafka with users and rights for the tests: see scripts/kafka-secure."""

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.stack import Stack, wait_for

SCRIPT = Path(__file__).parent.parent / "scripts" / "kafka"
NAME = "tests-secure"
START_SECONDS = 120
CALL_SECONDS = 20


@dataclass(frozen=True)
class SecureKafka:
    """Its three addresses, and the folder of its certificates."""

    plaintext: str
    sasl_ssl: str
    ssl: str
    folder: Path

    def stack(self, registry: str = "") -> Stack:
        """The listener without security, on which the tests make their topics."""
        return Stack(self.plaintext, registry)

    @property
    def trust(self) -> dict[str, str]:
        """What makes a client trust the broker."""
        return {"ssl.ca.location": str(self.folder / "ca.pem")}

    def user(self, name: str, mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
        """A client's configuration for a user."""
        return {
            "bootstrap.servers": self.sasl_ssl,
            "security.protocol": "SASL_SSL",
            "sasl.mechanisms": mechanism,
            "sasl.username": name,
            "sasl.password": f"{name}-secret",
            **self.trust,
        }

    def settings(self, config: dict[str, str]) -> dict[str, str]:
        """A client's configuration as settings of a proxy."""
        names = {key: f"client.{key}" for key in config}
        names["bootstrap.servers"] = "bootstrap.servers"
        return {names[key]: value for key, value in config.items()}

    @property
    def admin(self) -> AdminClient:
        """A client that may do anything."""
        return AdminClient(self.user("admin"))

    def make_user(self, name: str) -> None:
        """Let there be one user more, for SCRAM-SHA-512."""
        credentials = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        made = UserScramCredentialUpsertion(name, credentials, f"{name}-secret".encode())
        admin = self.admin
        for future in admin.alter_user_scram_credentials([made]).values():
            future.result(CALL_SECONDS)

    def rule(
        self,
        kind: ResourceType,
        name: str,
        operation: AclOperation,
        permission: AclPermissionType,
        principal: str,
    ) -> None:
        """Make one rule, and wait until it can be seen."""
        made = AclBinding(
            kind, name, ResourcePatternType.LITERAL, principal, "*", operation, permission
        )
        admin = self.admin
        for future in admin.create_acls([made]).values():
            future.result(CALL_SECONDS)
        asked = AclBindingFilter(
            kind, name, ResourcePatternType.LITERAL, principal, "*", operation, permission
        )
        wait_for(lambda: admin.describe_acls(asked).result(CALL_SECONDS))

    def deny(self, kind: ResourceType, name: str, operation: AclOperation, user: str) -> None:
        """Let a user do everything with a topic or group but one thing."""
        principal = f"User:{user}"
        self.rule(kind, name, AclOperation.ALL, AclPermissionType.ALLOW, principal)
        self.rule(kind, name, operation, AclPermissionType.DENY, principal)

    def allow_again(self, kind: ResourceType, name: str) -> None:
        """Take all rules of a topic or group away."""
        asked = AclBindingFilter(
            kind,
            name,
            ResourcePatternType.LITERAL,
            None,
            None,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        admin = self.admin
        for future in admin.delete_acls([asked]).values():
            future.result(CALL_SECONDS)

    @staticmethod
    def fresh(word: str) -> str:
        """A name that nobody has used."""
        return f"{word}-{uuid.uuid4().hex[:10]}"


@contextmanager
def secure_kafka() -> Iterator[SecureKafka]:
    """Start it, and stop it afterwards."""
    try:
        started = subprocess.run(
            [SCRIPT, "start", "--name", NAME, "--secure"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=START_SECONDS,
        )
        plaintext, sasl_ssl, ssl, folder = started.stdout.split()
        yield SecureKafka(plaintext, sasl_ssl, ssl, Path(folder))
    finally:
        subprocess.run([SCRIPT, "stop", "--name", NAME], check=True, timeout=START_SECONDS)
