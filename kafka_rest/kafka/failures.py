"""Kafka's errors as REST errors: the only place that knows librdkafka's error codes."""

import re

from confluent_kafka import KafkaError

from kafka_rest import errors
from kafka_rest.errors import RestError, because
from kafka_rest.records import DeliveryReport
from kafka_rest.settings.secrets import without_credentials

# What the reference's Java client calls retriable, plus librdkafka's own local counterparts:
# time-outs, lost connections and full queues leave the fate of a record open or known to be unsent.
RETRIABLE = frozenset(
    {
        KafkaError.INVALID_MSG,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.NOT_CONTROLLER,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._QUEUE_FULL,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._WAIT_COORD,
        KafkaError._PURGE_QUEUE,
        KafkaError._PURGE_INFLIGHT,
    }
)

_REST: dict[int, type[RestError]] = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: errors.TopicForbidden,
    KafkaError.GROUP_AUTHORIZATION_FAILED: errors.TopicForbidden,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: errors.TopicForbidden,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: errors.TopicForbidden,
    KafkaError.UNKNOWN_TOPIC_OR_PART: errors.UnknownTopic,
    KafkaError._UNKNOWN_TOPIC: errors.UnknownTopic,
    KafkaError.TOPIC_EXCEPTION: errors.IllegalTopic,
    KafkaError._UNKNOWN_PARTITION: errors.PartitionNotFound,
    KafkaError.LEADER_NOT_AVAILABLE: errors.LeaderNotAvailable,
}

# Seen by a reader of a partition these mean "no data yet", not a failure: the topic is being made,
# the group is forming or its coordinator moving, or librdkafka has rejoined by itself after an idle
# time.
NO_DATA_YET = frozenset(
    {
        KafkaError._PARTITION_EOF,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError._ASSIGNMENT_LOST,
    }
)

# A lost broker heals by itself; a reader keeps waiting and says so only when its time is up.
BROKER_TROUBLE = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
    }
)

# Kafka refuses the proxy's credentials or its certificate, or the proxy Kafka's certificate.
_REFUSALS = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL})
# By TLS 1.3 a client learns only behind the handshake that its certificate was refused.
_TLS_END = "unexpected eof"
_TLS_ALERT = re.compile(r"SSL routines:.*\balert\b")

# The record may have been on its way when time was up.
_FATE_OPEN = frozenset(
    {KafkaError._MSG_TIMED_OUT, KafkaError.REQUEST_TIMED_OUT, KafkaError._PURGE_INFLIGHT}
)
FATE_OPEN = "The record may or may not be stored."

REPORTED = (
    errors.AuthenticationFailed,
    errors.KafkaFailure,
    errors.KafkaRetriable,
    errors.PartitionNotFound,
    errors.TopicForbidden,
)
"""What the reports of a producer's records may say."""

_VAGUE = frozenset(
    {
        KafkaError._MSG_TIMED_OUT,
        KafkaError._TIMED_OUT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
    }
)


def error_of(failure: Exception) -> KafkaError:
    """The KafkaError inside the exception that confluent-kafka raises."""
    error = failure.args[0]
    return error if isinstance(error, KafkaError) else KafkaError(KafkaError._FAIL, str(error))


def rest_error(error: KafkaError, about: str, cause: KafkaError | None = None) -> RestError:
    """The REST error for one of Kafka's; `about` names the topic, partition or group concerned.

    `cause` is the client's last broker trouble: a time-out alone would not say that a password is
    wrong.
    """
    kind = _REST.get(error.code())
    if kind is not None:
        return because(kind, f"({about})")
    return because(_kind(error, cause), f"{sentence(error, cause)} ({about})")


def is_refusal(error: KafkaError) -> bool:
    """True where Kafka and the proxy do not accept each other's credentials or certificate."""
    if error.code() in _REFUSALS:
        # A broker that stops in the middle of a handshake refuses nothing.
        return _TLS_END not in error.str()
    return error.code() == KafkaError._TRANSPORT and bool(_TLS_ALERT.search(error.str()))


def _kind(error: KafkaError, cause: KafkaError | None) -> type[RestError]:
    """The class of an error that says nothing of a topic, group or partition."""
    if is_refusal(error) or (error.code() in _VAGUE and cause is not None and is_refusal(cause)):
        return errors.AuthenticationFailed
    return errors.KafkaRetriable if error.code() in RETRIABLE else errors.KafkaFailure


def failed_report(error: KafkaError, cause: KafkaError | None = None) -> DeliveryReport:
    """The report of a record without acknowledgement: 50003 where a retry may help."""
    if error.code() == KafkaError._UNKNOWN_PARTITION:
        return refused_report(errors.PartitionNotFound, sentence(error, cause))
    denied = _REST.get(error.code()) is errors.TopicForbidden
    kind = errors.TopicForbidden if denied else _kind(error, cause)
    text = sentence(error, cause)
    if error.code() in _FATE_OPEN:
        text = f"{text}. {FATE_OPEN}"
    return DeliveryReport(None, None, kind.error_code, text)


def refused_report(kind: type[RestError], cause: str) -> DeliveryReport:
    """The report of a record for which there is no word from Kafka."""
    return DeliveryReport(None, None, kind.error_code, f"{kind.message} {cause}")


def is_lasting(error: KafkaError) -> bool:
    """Whether a client's error stays for as long as nobody does something about it."""
    return error.fatal() or is_refusal(error)


def partition_count(topic: str, count: int) -> str:
    """Why a partition is not there."""
    return f"Topic {topic} has {count} partitions."


def sentence(error: KafkaError, cause: KafkaError | None = None) -> str:
    """Kafka's text for the error, with the broker trouble behind a vague one."""
    text = str(error.str())
    if cause is not None and error.code() in _VAGUE and cause.str() != text:
        text = f"{text} (last trouble: {cause.str()})"
    # It may hold the URL of a token endpoint, credentials and all.
    return without_credentials(text)
