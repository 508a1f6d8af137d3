"""The embedded schema registry: enough of the real one's HTTP API to develop and test with, in
memory.

    python -m kafka_rest.devstack.schema_registry [--port N] [--exit-on-eof]

Prints its URL on one line when ready.
"""

import logging
import os
import signal
import sys
import threading
from typing import Any

import click
from flask import Blueprint, Flask, Response, current_app, json, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import make_server

from kafka_rest.devstack.compatibility import InvalidSchema
from kafka_rest.devstack.subjects import (
    LEVELS,
    TYPES,
    Reference,
    Registered,
    RegistryError,
    Subjects,
)

HOST = "127.0.0.1"
MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
LARGEST_BODY_BYTES = 16 << 20

api = Blueprint("schema_registry", __name__)


def create_registry() -> Flask:
    """Make an empty registry."""
    app = Flask("schema_registry", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY_BYTES
    app.extensions["subjects"] = Subjects()
    app.register_blueprint(api)
    app.url_map.strict_slashes = False
    app.register_error_handler(RegistryError, lambda e: _error(e.status, e.code, e.message))
    app.register_error_handler(InvalidSchema, lambda e: _error(422, 42201, f"Invalid schema {e}"))
    app.register_error_handler(HTTPException, _http_error)
    return app


def _subjects() -> Subjects:
    found: Subjects = current_app.extensions["subjects"]
    return found


def _answer(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type=MEDIA_TYPE)


def _error(status: int, code: int, message: str) -> Response:
    return _answer({"error_code": code, "message": message}, status)


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    return _error(status, status, f"HTTP {status} {error.name}")


def _body() -> dict[str, Any]:
    try:
        body = json.loads(request.get_data())
    except (ValueError, RecursionError) as error:
        raise RegistryError(400, f"Unable to process JSON: {error}") from error
    if not isinstance(body, dict):
        raise RegistryError(422, "the body must be a JSON object")
    return body


def _schema() -> Registered:
    """The schema in the request's body. Raises: 42201 for what is none."""
    body = _body()
    schema_type = body.get("schemaType") or "AVRO"
    if schema_type not in TYPES:
        raise RegistryError(42201, f"Invalid schema: unknown schema type {schema_type}")
    text = body.get("schema")
    if not isinstance(text, str) or not text.strip():
        raise RegistryError(42201, "Invalid schema: empty schema")
    try:
        references = tuple(
            Reference(str(r["name"]), str(r["subject"]), int(r["version"]))
            for r in body.get("references") or ()
        )
    except (TypeError, KeyError, ValueError) as error:
        raise RegistryError(422, "references must have a name, a subject and a version") from error
    return Registered(schema_type, text, references)


def _flag(name: str) -> bool:
    return request.args.get(name, "").lower() == "true"


@api.get("/")
def root() -> Response:
    """A sign of life."""
    return _answer({})


@api.get("/subjects")
def list_subjects() -> Response:
    """The subjects."""
    prefix = request.args.get("subjectPrefix", "")
    return _answer([n for n in _subjects().names(_flag("deleted")) if n.startswith(prefix)])


@api.post("/subjects/<path:subject>/versions")
def register(subject: str) -> Response:
    """Register a schema."""
    return _answer({"id": _subjects().register(subject, _schema())})


@api.post("/subjects/<path:subject>")
def look_up(subject: str) -> Response:
    """Find a schema under a subject."""
    schema = _schema()
    version, schema_id = _subjects().look_up(subject, schema)
    return _answer(_described(subject, version, schema_id, _subjects().by_id(schema_id)))


@api.get("/subjects/<path:subject>/versions")
def list_versions(subject: str) -> Response:
    """The versions of a subject."""
    return _answer(_subjects().versions(subject))


@api.get("/subjects/<path:subject>/versions/<version>")
def get_version(subject: str, version: str) -> Response:
    """One version of a subject."""
    return _answer(_described(subject, *_subjects().version(subject, version)))


@api.get("/subjects/<path:subject>/versions/<version>/schema")
def get_version_text(subject: str, version: str) -> Response:
    """The text of one version."""
    _, _, schema = _subjects().version(subject, version)
    return Response(schema.text, content_type=MEDIA_TYPE)


@api.delete("/subjects/<path:subject>/versions/<version>")
def delete_version(subject: str, version: str) -> Response:
    """Delete one version."""
    return _answer(_subjects().delete_version(subject, version, _flag("permanent")))


@api.delete("/subjects/<path:subject>")
def delete_subject(subject: str) -> Response:
    """Delete a subject."""
    return _answer(_subjects().delete_subject(subject, _flag("permanent")))


@api.get("/schemas/types")
def list_types() -> Response:
    """The types of schemas."""
    return _answer(list(TYPES))


@api.get("/schemas/ids/<int:schema_id>")
def get_schema(schema_id: int) -> Response:
    """A schema by id."""
    return _answer(_subjects().by_id(schema_id).rendered())


@api.get("/schemas/ids/<int:schema_id>/schema")
def get_schema_text(schema_id: int) -> Response:
    """A schema's text by id."""
    return Response(_subjects().by_id(schema_id).text, content_type=MEDIA_TYPE)


@api.get("/schemas/ids/<int:schema_id>/versions")
def list_places(schema_id: int) -> Response:
    """Where a schema is registered."""
    places = _subjects().places(schema_id)
    return _answer([{"subject": subject, "version": version} for subject, version in places])


@api.get("/schemas/ids/<int:schema_id>/subjects")
def list_subjects_of(schema_id: int) -> Response:
    """Under which subjects a schema is registered."""
    return _answer(sorted({subject for subject, _ in _subjects().places(schema_id)}))


@api.get("/config")
def get_level() -> Response:
    """The compatibility level."""
    return _answer({"compatibilityLevel": _subjects().level})


@api.put("/config")
def set_level() -> Response:
    """Set the compatibility level."""
    _subjects().level = level = _level()
    return _answer({"compatibility": level})


@api.get("/config/<path:subject>")
def get_subject_level(subject: str) -> Response:
    """A subject's compatibility level."""
    level = _subjects().subject_level(subject)
    if level is None and _flag("defaultToGlobal"):
        level = _subjects().level
    if level is None:
        raise RegistryError(
            40408, f"Subject '{subject}' does not have subject-level compatibility configured"
        )
    return _answer({"compatibilityLevel": level})


@api.put("/config/<path:subject>")
def set_subject_level(subject: str) -> Response:
    """Set a subject's compatibility level."""
    level = _level()
    _subjects().set_subject_level(subject, level)
    return _answer({"compatibility": level})


@api.delete("/config/<path:subject>")
def delete_subject_level(subject: str) -> Response:
    """Forget a subject's compatibility level."""
    level = _subjects().subject_level(subject)
    if level is None:
        raise RegistryError(40401, f"Subject '{subject}' not found.")
    _subjects().set_subject_level(subject, None)
    return _answer({"compatibilityLevel": level})


@api.post("/compatibility/subjects/<path:subject>/versions/<version>")
def check_compatibility(subject: str, version: str) -> Response:
    """Whether a schema is compatible with a version."""
    problem = _subjects().problem(subject, version, _schema())
    body: dict[str, Any] = {"is_compatible": not problem}
    if problem and _flag("verbose"):
        body["messages"] = [problem]
    return _answer(body)


def _described(subject: str, version: int, schema_id: int, schema: Registered) -> dict[str, Any]:
    return {"subject": subject, "version": version, "id": schema_id, **schema.rendered()}


def _level() -> str:
    level = _body().get("compatibility")
    if level not in LEVELS:
        raise RegistryError(
            42203, f"Invalid compatibility level. Valid values are {', '.join(LEVELS)}"
        )
    return str(level)


@click.command()
@click.option("--port", default=0, help="The port; 0 takes any.")
@click.option("--exit-on-eof", is_flag=True, help="End with whoever holds the standard input.")
def main(port: int, exit_on_eof: bool) -> None:
    """Run the embedded schema registry until it is told to stop."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    try:
        server = make_server(HOST, port, create_registry(), threaded=True)
    except (OSError, SystemExit):
        sys.exit(f"Port {port} is in use.")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    print(f"http://{HOST}:{server.server_port}", flush=True)
    if exit_on_eof:
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
