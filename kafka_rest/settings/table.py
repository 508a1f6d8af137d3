"""The one table of settings. To add one, add a row: its environment variable, documents and checks
follow.

A name is the reference's where the reference has the setting; ours say so. Units stand in the
names.
"""

from typing import Any, TypeVar

from kafka_rest.settings import types as t
from kafka_rest.settings.types import Setting

T = TypeVar("T")

TABLE: dict[str, Setting[Any]] = {}


def _row(name: str, parse: t.Parser[T], default: str, sentence: str, **more: Any) -> Setting[T]:
    row = Setting(name, parse, default, sentence, **more)
    TABLE[name] = row
    return row


def _ours(name: str, parse: t.Parser[T], default: str, sentence: str, **more: Any) -> Setting[T]:
    return _row(name, parse, default, sentence, ours=True, **more)


def _ignored(name: str, default: str, why: str) -> None:
    _row(name, t.text, default, f"Accepted and without effect: {why}.", ignored=why)


# -- the cluster and the schema registry
# ---------------------------------------------------------------

BOOTSTRAP_SERVERS = _row(
    "bootstrap.servers",
    t.bootstrap,
    "PLAINTEXT://localhost:9092",
    "Brokers to start from; a protocol before an address (SASL_SSL://...) sets "
    "client.security.protocol.",
    importance="high",
)
SCHEMA_REGISTRY_URL = _row(
    "schema.registry.url",
    t.urls,
    "http://localhost:8081",
    "Base URLs of the schema registry; the next one is tried when one cannot be reached.",
    importance="high",
)
SCHEMA_REGISTRY_TIMEOUT_MS = _ours(
    "schema.registry.timeout.ms",
    t.integer(1),
    "5000",
    "How long one call to the schema registry may take.",
)
SCHEMA_REGISTRY_CACHE_SIZE = _ours(
    "schema.registry.cache.size",
    t.integer(1),
    "1000",
    "How many schemas a worker remembers by id, and how many by subject and text.",
)
SCHEMA_REGISTRY_AUTH_SOURCE = _row(
    "schema.registry.basic.auth.credentials.source",
    t.one_of("URL", "USER_INFO", "SASL_INHERIT"),
    "URL",
    "Who the proxy is to the schema registry: as its URLs or user.info say, as user.info must say, "
    "or the user of client.sasl.*.",
)
SCHEMA_REGISTRY_USER_INFO = _row(
    "schema.registry.basic.auth.user.info",
    t.text,
    "",
    "USER:PASSWORD for the schema registry; empty for none.",
)
SCHEMA_REGISTRY_TOKEN = _row(
    "schema.registry.bearer.auth.token",
    t.text,
    "",
    "A bearer token for the schema registry, in place of a user; empty for none.",
)
SCHEMA_REGISTRY_CA_LOCATION = _ours(
    "schema.registry.ssl.ca.location",
    t.text,
    "",
    "PEM file or folder (of hashed names) of the authorities that sign the schema registry's "
    "certificate; empty: the public ones.",
)
SCHEMA_REGISTRY_TRUSTSTORE_LOCATION = _row(
    "schema.registry.ssl.truststore.location", t.text, "", "The same, a PEM file."
)
SCHEMA_REGISTRY_TRUSTSTORE_TYPE = _row(
    "schema.registry.ssl.truststore.type",
    t.text,
    "",
    "Only PEM can be read; empty: as the file says.",
)
SCHEMA_REGISTRY_CERTIFICATE_LOCATION = _ours(
    "schema.registry.ssl.certificate.location",
    t.text,
    "",
    "PEM file with the proxy's certificate for the schema registry; empty for none.",
)
SCHEMA_REGISTRY_KEY_LOCATION = _ours(
    "schema.registry.ssl.key.location",
    t.text,
    "",
    "PEM file with that certificate's key; empty: the same file.",
)
SCHEMA_REGISTRY_KEY_PASSWORD = _row(
    "schema.registry.ssl.key.password", t.text, "", "The password of that key; empty for none."
)
SCHEMA_REGISTRY_KEYSTORE_LOCATION = _row(
    "schema.registry.ssl.keystore.location",
    t.text,
    "",
    "PEM file with the proxy's certificate and its key for the schema registry.",
)
SCHEMA_REGISTRY_KEYSTORE_TYPE = _row(
    "schema.registry.ssl.keystore.type",
    t.text,
    "",
    "Only PEM can be read; empty: as the file says.",
)
SCHEMA_REGISTRY_KEYSTORE_PASSWORD = _row(
    "schema.registry.ssl.keystore.password",
    t.text,
    "",
    "The key's password, where schema.registry.ssl.key.password is empty.",
)
SCHEMA_REGISTRY_ENDPOINT_IDENTIFICATION = _row(
    "schema.registry.ssl.endpoint.identification.algorithm",
    t.text,
    "https",
    "Whether the schema registry's certificate must be of its host's name; empty: not.",
)
_ignored("schema.registry.ssl.truststore.password", "", "PEM has no password for certificates")
_ignored(
    "schema.registry.bearer.auth.credentials.source", "STATIC_TOKEN", "the token is in a setting"
)

SCHEMA_REGISTRY_KEY_SUBJECT_NAME_STRATEGY = _row(
    "schema.registry.key.subject.name.strategy",
    t.class_name("TopicNameStrategy", "RecordNameStrategy", "TopicRecordNameStrategy"),
    "TopicNameStrategy",
    "Under which subject the schemas of keys are registered: by topic, by record name, or both.",
)
SCHEMA_REGISTRY_VALUE_SUBJECT_NAME_STRATEGY = _row(
    "schema.registry.value.subject.name.strategy",
    t.class_name("TopicNameStrategy", "RecordNameStrategy", "TopicRecordNameStrategy"),
    "TopicNameStrategy",
    "The same for the schemas of values.",
)

# -- the server
# --------------------------------------------------------------------------------------------

ID = _row(
    "id",
    t.text,
    "",
    "Unique id of this server, part of the names of unnamed consumers; set it when several run.",
    importance="high",
)
CLUSTER_PEERS = _ours(
    "cluster.peers",
    t.peers,
    "",
    "All proxies of a cluster, this one (`id`) included, as ID=URL, comma-separated: any of them "
    "then takes any consumer's requests, see docs/cluster.md; empty: this one is alone.",
    importance="medium",
)
CLUSTER_SECRET = _ours(
    "cluster.secret",
    t.text,
    "",
    "What the proxies of `cluster.peers` sign with what they relay to each other; at least 16 "
    "characters, the same for all.",
    importance="medium",
)
LISTENERS = _row(
    "listeners",
    t.listeners("http", "https"),
    "",
    "Where to listen, http://HOST:PORT or https://HOST:PORT; empty: all addresses at `port`.",
    importance="high",
)
PORT = _row(
    "port",
    t.integer(1, 65535),
    "8082",
    "The port where `listeners` is empty; with host.name also the port in base_uri.",
    importance="high",
)
HOST_NAME = _row(
    "host.name",
    t.text,
    "",
    "The host in base_uri; empty: the one that the client's request named.",
    importance="medium",
)
SERVER_WORKERS = _ours(
    "server.workers",
    t.integer(1, 128),
    "2",
    "Worker processes; about one for each core.",
    importance="medium",
)
SERVER_THREADS = _ours(
    "server.threads",
    t.integer(2, 4096),
    "32",
    "Threads of each worker; a request takes one, a read not while it waits.",
    importance="medium",
)
SERVER_FORWARD_THREADS = _ours(
    "server.forward.threads",
    t.integer(2, 4096),
    "32",
    "Threads of each worker for requests that another worker relays, apart from `server.threads`.",
)
SERVER_WORKER_CLASS = _ours(
    "server.worker.class",
    t.one_of("kafka_rest.server.worker.Worker", "gthread"),
    "kafka_rest.server.worker.Worker",
    "gunicorn's worker class: ours, or its own threaded one as a fallback.",
)
SERVER_RUN_DIR = _ours(
    "server.run.dir",
    t.text,
    "",
    "A private folder for the pid file and the workers' sockets; empty: one in the "
    "temporary folder.",
)
SERVER_ACCESS_LOG = _ours(
    "server.access.log", t.boolean, "false", "Log a line for each request, see request.logger.name."
)
MANAGEMENT_LISTENERS = _ours(
    "management.listeners",
    t.listeners("http"),
    "",
    "Where /health, /ready and /metrics answer, http://HOST:PORT (no TLS), and then nowhere else; "
    "empty: at the listeners of all requests.",
    importance="medium",
)
READY_METADATA_INTERVAL_MS = _ours(
    "ready.metadata.interval.ms",
    t.integer(100),
    "5000",
    "How often each worker asks Kafka whether it is there; after three times as long without an "
    "answer, /ready is 503.",
)
METRICS_ENABLE = _ours(
    "metrics.enable",
    t.boolean,
    "true",
    "Count, and answer GET /metrics, for all workers, in Prometheus's text format.",
)
METRICS_STATISTICS_INTERVAL_MS = _ours(
    "metrics.statistics.interval.ms",
    t.integer(0, 86_400_000),
    "10000",
    "How often each worker's producer tells what it has measured of the brokers; 0: never. It also "
    "decides by that how many of its requests are under way at a time (docs/performance.md).",
)
SERVER_LOG_FORMAT = _ours(
    "server.log.format",
    t.one_of("text", "json"),
    "text",
    "The form of all log lines: text, or a JSON object a line.",
)
SERVER_KEEPALIVE_MS = _ours(
    "server.keepalive.ms",
    t.integer(0),
    "75000",
    "How long an idle connection is kept; above the idle time of the balancer in front.",
)
SERVER_BACKLOG = _ours(
    "server.backlog", t.integer(1, 65535), "2048", "Connections that may wait to be accepted."
)
SERVER_TRUSTED_PROXIES = _ours(
    "server.trusted.proxies",
    t.networks,
    "",
    "Addresses or networks whose X-Forwarded-* headers are believed; empty: none.",
)
SERVER_PIN_CPUS = _ours(
    "server.pin.cpus",
    t.boolean,
    "true",
    "Keep each worker's Python threads on one core, where there are cores enough; "
    "librdkafka's run free.",
)
SHUTDOWN_GRACEFUL_MS = _row(
    "shutdown.graceful.ms",
    t.integer(0),
    "10000",
    "How long a stop may take: reads end, groups are left, producers are flushed. "
    "(The reference has "
    "1000, too short to leave a group.)",
)
REQUEST_MAX_BYTES = _ours(
    "request.max.bytes",
    t.integer(1),
    "67108864",
    "Largest request body; a larger one is answered 413.",
)
REQUEST_RECORDS_MAX = _ours(
    "request.records.max",
    t.integer(0),
    "0",
    "Most records in one produce request; one with more is answered 413. 0: no limit.",
)
REQUEST_RATE_MAX = _ours(
    "request.rate.max",
    t.integer(0, 1_000_000),
    "0",
    "Requests a second that each principal may make of each worker, as many at once after a "
    "pause; one more is answered 429 with Retry-After. 0: no limit.",
)
API_V1_ENABLE = _ours(
    "api.v1.enable",
    t.boolean,
    "true",
    "Serve API v1; without it, a request that names no version is one of v2.",
)
API_V2_ENABLE = _row("api.v2.enable", t.boolean, "true", "Serve API v2.")
API_ENDPOINTS_ALLOWLIST = _row(
    "api.endpoints.allowlist",
    t.names,
    "",
    "Endpoints to serve, such as api.v2.topics.list, or all of a kind, such as api.v2.consumers.*; "
    "empty: all.",
)
API_ENDPOINTS_BLOCKLIST = _row(
    "api.endpoints.blocklist",
    t.names,
    "",
    "Endpoints not to serve: a GET of one is 404, anything else 405.",
)
ADVERTISED_LISTENERS = _row(
    "advertised.listeners",
    t.urls,
    "",
    "URLs of which the first with the request's scheme is the origin in base_uri; it wins over "
    "host.name.",
)
DEBUG = _row("debug", t.boolean, "false", "Put exceptions and their stacks into error messages.")
REQUEST_LOGGER_NAME = _row(
    "request.logger.name", t.text, "io.confluent.rest-utils.requests", "The access log's logger."
)
RESPONSE_MEDIATYPE_DEFAULT = _row(
    "response.mediatype.default",
    t.media_type,
    "application/vnd.kafka.v1+json",
    "The type of 415 answers, where no type could be negotiated.",
)
RESPONSE_MEDIATYPE_PREFERRED = _row(
    "response.mediatype.preferred",
    t.media_types,
    "application/vnd.kafka.v1+json,application/vnd.kafka+json,application/json",
    "Without effect, as in the reference: negotiation is fixed by the API.",
)
COMPRESSION_ENABLE = _row(
    "compression.enable", t.boolean, "false", "Compress answers for clients that accept gzip."
)
ACCESS_CONTROL_ALLOW_ORIGIN = _row(
    "access.control.allow.origin",
    t.text,
    "",
    "Origins that may call from a browser, comma-separated, or *; empty switches CORS off.",
)
ACCESS_CONTROL_ALLOW_METHODS = _row(
    "access.control.allow.methods",
    t.text,
    "",
    "Methods that those origins may use; empty: GET,POST,HEAD,DELETE,OPTIONS.",
)

# -- producing
# ----------------------------------------------------------------------------------------------

PRODUCE_TIMEOUT_MS = _ours(
    "produce.timeout.ms",
    t.integer(1),
    "30000",
    "How long a produce request may take; a record that is not acknowledged by then has failed.",
    importance="medium",
)
METADATA_TIMEOUT_MS = _ours(
    "metadata.timeout.ms",
    t.integer(1),
    "5000",
    "How long a look-up of brokers, topics or partitions, or the creation of a topic, may take.",
)
METADATA_MAX_AGE_MS = _ours(
    "metadata.max.age.ms",
    t.integer(0),
    "2000",
    "How long a topic is known to exist without asking again.",
)

PRODUCE_TRACE_HEADERS = _ours(
    "produce.trace.headers",
    t.boolean,
    "false",
    "Give a request's W3C trace context (traceparent, tracestate) to its records as headers.",
)

# -- consuming
# ----------------------------------------------------------------------------------------------

CONSUMER_REQUEST_TIMEOUT_MS = _row(
    "consumer.request.timeout.ms",
    t.integer(0),
    "1000",
    "How long a read waits for its first record.",
    importance="medium",
)
CONSUMER_REQUEST_TIMEOUT_MAX_MS = _ours(
    "consumer.request.timeout.max.ms",
    t.integer(0),
    "30000",
    "The longest wait that a client may ask for, with `timeout` or when it makes an instance.",
)
FETCH_MIN_BYTES = _row(
    "fetch.min.bytes",
    t.integer(-1, 10_000_000),
    "-1",
    "A v2 read waits for more bytes than this; -1 and 0: it answers with its first record.",
)
CONSUMER_REQUEST_MAX_BYTES = _row(
    "consumer.request.max.bytes",
    t.integer(1, 2**63 - 1),
    "67108864",
    "Largest sum of keys and values in one read, whatever its max_bytes says.",
    importance="medium",
)
CONSUMER_INSTANCE_TIMEOUT_MS = _row(
    "consumer.instance.timeout.ms",
    t.integer(1),
    "300000",
    "How long an instance may go unused before it is closed.",
)
CONSUMER_JOIN_TIMEOUT_MS = _ours(
    "consumer.join.timeout.ms",
    t.integer(0),
    "10000",
    "How much longer a read may wait while its group has not yet assigned partitions.",
)
CONSUMER_COMMIT_TIMEOUT_MS = _ours(
    "consumer.commit.timeout.ms", t.integer(1), "10000", "How long a commit may take."
)
CONSUMER_INSTANCES_MAX = _ours(
    "consumer.instances.max",
    t.integer(1, 900),
    "200",
    "Consumer instances of each worker; one more is answered 429. Each has three threads and one "
    "for each broker of Kafka.",
)
CONSUMER_INSTANCES_PER_PRINCIPAL_MAX = _ours(
    "consumer.instances.per.principal.max",
    t.integer(0),
    "0",
    "Consumer instances that each principal may have in each worker; one more is answered 429. "
    "0: no limit.",
)
CONSUMER_LONG_POLLS_MAX = _ours(
    "consumer.long.polls.max",
    t.integer(1),
    "5000",
    "Reads that wait for records in each worker; one more is answered 429. Each takes some "
    "memory, and no thread.",
)
CONSUMER_PINNING_LISTENERS = _ours(
    "consumer.pinning.listeners",
    t.boolean,
    "false",
    "Let each worker listen on a port of its own too (the first listener's and one "
    "more, and so on), "
    "and name it in base_uri: clients that follow base_uri save the relay.",
)
SIMPLECONSUMER_POOL_SIZE_MAX = _row(
    "simpleconsumer.pool.size.max",
    t.integer(0),
    "25",
    "Clients of each worker for reads of partitions without a consumer; 0: no limit.",
    importance="medium",
)
SIMPLECONSUMER_POOL_TIMEOUT_MS = _row(
    "simpleconsumer.pool.timeout.ms",
    t.integer(0),
    "1000",
    "How long such a read waits for a client of the pool; 0: as long as the request may take.",
)

# -- who clients are, and what they may do
# ---------------------------------------------------------------------------------

AUTHENTICATION_METHOD = _row(
    "authentication.method",
    t.some_of("BASIC", "BEARER", none="NONE"),
    "NONE",
    "How clients say who they are: NONE; BASIC with authentication.htpasswd.file; BEARER with "
    "authentication.jwks; or both, comma-separated.",
    importance="medium",
)
AUTHENTICATION_REALM = _row(
    "authentication.realm",
    t.text,
    "",
    "The realm that a 401 names; empty: kafka-rest.",
)
AUTHENTICATION_SKIP_PATHS = _row(
    "authentication.skip.paths",
    t.names,
    "",
    "Paths, such as /, that need no credentials, comma-separated; rules still hold.",
)
AUTHENTICATION_HTPASSWD_FILE = _ours(
    "authentication.htpasswd.file",
    t.text,
    "",
    "The users for BASIC, as `htpasswd -B` writes them; read again at SIGHUP.",
    importance="medium",
)
AUTHENTICATION_JWKS = _ours(
    "authentication.jwks",
    t.file_or_url,
    "",
    "The public keys for BEARER: the path of a JWKS file, read again at SIGHUP, or an http(s) URL.",
    importance="medium",
)
AUTHENTICATION_JWKS_REFRESH_MS = _ours(
    "authentication.jwks.refresh.ms",
    t.integer(1000),
    "300000",
    "How often the keys are fetched from a URL; a token with an unknown key has it done sooner.",
)
AUTHENTICATION_JWT_ISSUER = _ours(
    "authentication.jwt.issuer",
    t.text,
    "",
    "The issuer that a token must name; empty: any whose key is known.",
    importance="medium",
)
AUTHENTICATION_JWT_AUDIENCE = _ours(
    "authentication.jwt.audience",
    t.words,
    "",
    "Audiences of which a token must name one; empty: a token for anybody else is taken as well.",
    importance="medium",
)
AUTHENTICATION_JWT_ALGORITHMS = _ours(
    "authentication.jwt.algorithms",
    t.some_of(
        *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512", "EdDSA"),
        none="",
    ),
    "RS256,ES256",
    "Signatures that are taken.",
)
AUTHENTICATION_JWT_PRINCIPAL_CLAIM = _ours(
    "authentication.jwt.principal.claim", t.text, "sub", "The claim that says who the client is."
)
AUTHENTICATION_JWT_LEEWAY_MS = _ours(
    "authentication.jwt.leeway.ms",
    t.integer(0, 600_000),
    "30000",
    "How far the clocks of issuer and server may be apart.",
)
SSL_KEYSTORE_LOCATION = _row(
    "ssl.keystore.location",
    t.text,
    "",
    "For https listeners: a PEM file with the server's certificate, those between it and its "
    "authority, and the private key; read again at SIGHUP.",
    importance="high",
)
SSL_KEYSTORE_PASSWORD = _row(
    "ssl.keystore.password", t.text, "", "The same as ssl.key.password.", importance="high"
)
SSL_KEYSTORE_TYPE = _row("ssl.keystore.type", t.one_of("PEM"), "PEM", "Only PEM.")
SSL_KEY_PASSWORD = _row(
    "ssl.key.password",
    t.text,
    "",
    "The password of the private key, where it is encrypted.",
    importance="high",
)
SSL_TRUSTSTORE_LOCATION = _row(
    "ssl.truststore.location",
    t.text,
    "",
    "A PEM file with the authorities of clients' certificates; read again at SIGHUP.",
    importance="high",
)
SSL_TRUSTSTORE_TYPE = _row("ssl.truststore.type", t.one_of("PEM"), "PEM", "Only PEM.")
SSL_CLIENT_AUTHENTICATION = _row(
    "ssl.client.authentication",
    t.one_of("NONE", "REQUESTED", "REQUIRED"),
    "NONE",
    "Whether a client must, may or need not show a certificate; its subject is who it is.",
    importance="medium",
)
SSL_CLIENT_AUTH = _row(
    "ssl.client.auth", t.boolean, "false", "true: as ssl.client.authentication=REQUIRED."
)
AUTHORIZATION_FILE = _ours(
    "authorization.file",
    t.text,
    "",
    "Who may read, write, describe and administer what, a line for each right, and nothing "
    "else is allowed; empty: all may do all. Read again at SIGHUP.",
    importance="medium",
)

# -- settings of the reference that have no use here
# ---------------------------------------------------------

_ignored("zookeeper.connect", "localhost:2181", "Kafka's own protocol is all that is needed")
_ignored("producer.threads", "5", "one producer serves all requests of a worker")
_ignored("consumer.threads", "1", "a read takes a thread only when there is something to read")
_ignored("consumer.iterator.timeout.ms", "1", "librdkafka reads without an iterator")
_ignored("consumer.iterator.backoff.ms", "50", "a read is woken by its first record")
_ignored("metric.reporters", "", "Java classes cannot be loaded")
_ignored("metrics.jmx.prefix", "kafka.rest", "there is no JMX")
_ignored("metrics.num.samples", "2", "there is no JMX")
_ignored("metrics.sample.window.ms", "30000", "there is no JMX")
_ignored("authentication.roles", "*", "see authorization.file")
_HTTPS = "https listeners speak TLS 1.2 and 1.3, as OpenSSL comes configured"
for _name, _default in {
    "ssl.truststore.password": "",
    "ssl.protocol": "TLS",
    "ssl.provider": "",
    "ssl.enabled.protocols": "",
    "ssl.keymanager.algorithm": "",
    "ssl.trustmanager.algorithm": "",
    "ssl.endpoint.identification.algorithm": "",
    "ssl.cipher.suites": "",
}.items():
    _ignored(_name, _default, _HTTPS)
