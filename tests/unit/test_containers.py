"""The Dockerfile and compose.yaml, as far as they can be checked without a container engine."""

import ipaddress
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kafka_rest import settings as s
from tests.containers import ROOT, arguments, compose, copied

PUBLIC_IMAGES = {"apache/kafka", "apicurio/apicurio-registry", "nginx"}
OURS = "kafka-rest:local"


def proxies() -> dict[str, dict[str, Any]]:
    return {
        name: service for name, service in compose()["services"].items() if service["image"] == OURS
    }


def addresses() -> dict[str, str]:
    """The fixed addresses of services."""
    return {
        name: service["networks"]["default"]["ipv4_address"]
        for name, service in compose()["services"].items()
        if "networks" in service
    }


# -- the image
# ------------------------------------------------------------------------------------------


def test_dockerfile_satisfies_the_linter() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_is_there_and_not_ignored(source: str) -> None:
    assert (ROOT / source).exists()
    assert f"!{source}" in (ROOT / ".dockerignore").read_text().splitlines()


def test_nothing_else_goes_into_the_image() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    assert kept == set(copied())


def test_server_is_the_process_that_is_told_to_stop() -> None:
    """A command that is no JSON list runs in a shell, which keeps TERM to itself."""
    assert json.loads(arguments("CMD")[-1]) == ["kafka-rest-start"]
    assert arguments("ENTRYPOINT") == []


def test_container_has_an_ordinary_user() -> None:
    [user] = arguments("USER")
    assert f"--uid {user} " in " ".join(arguments("RUN"))


# -- the composition
# ------------------------------------------------------------------------------------


def test_images_are_the_public_ones_in_the_versions_that_are_tested() -> None:
    images = {service["image"] for service in compose()["services"].values()} - {OURS}
    versions = dict(image.split(":") for image in images)
    assert set(versions) == PUBLIC_IMAGES
    for image, script in [
        ("apache/kafka", "kafka"),
        ("apicurio/apicurio-registry", "schema-registry"),
    ]:
        assert f"_VERSION:-{versions[image]}}}" in (ROOT / "scripts" / script).read_text()


def test_proxies_are_built_here_and_have_names_of_their_own() -> None:
    found = proxies()
    assert len(found) == 2
    for name, service in found.items():
        assert (ROOT / service["build"] / "Dockerfile").exists()
        assert service["environment"]["KAFKA_REST_ID"] == name


@pytest.mark.parametrize("name", proxies())
def test_environment_of_a_proxy_names_settings_and_services(name: str) -> None:
    environ = proxies()[name]["environment"]
    assert all(variable.startswith("KAFKA_REST_") for variable in environ)
    settings = s.load(environ=environ)
    assert settings.passed_through == {}
    services = compose()["services"]
    for url in (settings[s.SCHEMA_REGISTRY_URL][0], f"//{environ['KAFKA_REST_BOOTSTRAP_SERVERS']}"):
        assert re.match(r"(?:http:)?//([^:/]+):", url)[1] in services  # type: ignore[index]


def test_stop_of_a_container_takes_longer_than_that_of_the_server() -> None:
    for service in proxies().values():
        graceful = s.load(environ=service["environment"])[s.SHUTDOWN_GRACEFUL_MS]
        assert int(service["stop_grace_period"].removesuffix("s")) * 1000 > graceful


def test_what_services_wait_for_is_there() -> None:
    services = compose()["services"]
    for service in services.values():
        for other, wait in service.get("depends_on", {}).items():
            assert other in services
            assert wait["condition"] != "service_healthy" or "healthcheck" in services[other]


def test_addresses_are_in_the_network_and_trusted_where_they_should_be() -> None:
    [pool] = compose()["networks"]["default"]["ipam"]["config"]
    found = addresses()
    assert len({*found.values(), pool["gateway"]}) == len(found) + 1
    network, others = (ipaddress.ip_network(pool[name]) for name in ("subnet", "ip_range"))
    fixed = [ipaddress.ip_address(address) for address in found.values()]
    assert all(address in network and address not in others for address in fixed)
    for service in proxies().values():
        trusted = service["environment"]["KAFKA_REST_SERVER_TRUSTED_PROXIES"]
        assert trusted == found["nginx"]


def test_kafka_advertises_what_proxies_are_told() -> None:
    kafka = compose()["services"]["kafka"]["environment"]
    for service in proxies().values():
        wanted = service["environment"]["KAFKA_REST_BOOTSTRAP_SERVERS"]
        assert f"PLAINTEXT://{wanted}" in kafka["KAFKA_ADVERTISED_LISTENERS"].split(",")


def test_what_is_mounted_is_there() -> None:
    volumes = [
        volume
        for service in compose()["services"].values()
        for volume in service.get("volumes", [])
    ]
    assert volumes
    assert [v for v in volumes if not (ROOT / v.split(":")[0]).is_file()] == []


def test_site_and_peers_have_the_addresses_of_the_proxies() -> None:
    site = (ROOT / "config/nginx/kafka-rest.conf").read_text()
    wanted = {f"{addresses()[name]}:8082" for name in proxies()}
    assert set(re.findall(r"^ *server (\S+:\d+)", site, re.M)) == wanted
    for service in proxies().values():
        settings = s.load(environ=service["environment"])
        assert {settings[s.PORT]} == {8082}
        assert settings.given(s.CLUSTER_PEERS) == ",".join(
            f"{name}=http://{addresses()[name]}:8082" for name in proxies()
        )
