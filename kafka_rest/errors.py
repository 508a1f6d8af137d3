"""The one table of REST errors: a class per error code.

To add an error, write a class. The HTTP status follows from the code, one handler renders them all.
A class below another one has its code in v1 and a code of its own in a later version, see
`api/v2/errors`. Not for translating Kafka's errors: that is `kafka.failures`.
"""

from typing import ClassVar


class RestError(Exception):
    """An answer that says what went wrong: a code, a sentence, extra headers."""

    error_code: ClassVar[int] = 500
    message: ClassVar[str] = "Internal Server Error"

    def __init__(self, message: str | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(message or self.message)
        self.text = message or self.message
        self.headers = headers or {}
        self.cause: str | None = None

    @property
    def status(self) -> int:
        """The HTTP status: the code itself below 600, else its first three digits."""
        return self.error_code if self.error_code < 600 else self.error_code // 100


def because(error: type["RestError"], cause: str) -> "RestError":
    """The error with its standard sentence first (clients match on it), then the cause."""
    made = error(f"{error.message} {cause}")
    made.cause = cause
    return made


class BadRequest(RestError):
    error_code = 400
    message = "Bad Request:"


class NotAuthenticated(RestError):
    error_code = 401
    message = "Not authenticated:"


class InvalidRequest(RestError):
    error_code = 40002
    message = "Kafka refused the request:"


class AuthenticationFailed(RestError):
    error_code = 40101
    message = "Authentication failed between this proxy and what it asks:"


class Forbidden(RestError):
    error_code = 403
    message = "HTTP 403 Forbidden"


class TopicForbidden(RestError):
    error_code = 40301
    message = "Not authorized."


class NotFound(RestError):
    error_code = 404
    message = "HTTP 404 Not Found"


class TopicNotFound(RestError):
    error_code = 40401
    message = "Topic not found."


class UnknownTopic(TopicNotFound):
    """A look-up found that there is no such topic."""


class IllegalTopic(TopicNotFound):
    """No topic can have this name."""


class PartitionNotFound(RestError):
    error_code = 40402
    message = "Partition not found."


class InstanceNotFound(RestError):
    error_code = 40403
    message = "Consumer instance not found."


class TopicNotHosted(InstanceNotFound):
    """v2's answer to the look-up of a topic; by accident it has an instance's code."""

    message = "This server does not host this topic-partition."


class LeaderNotAvailable(RestError):
    error_code = 40404
    message = "Leader not available."


class MethodNotAllowed(RestError):
    error_code = 405
    message = "HTTP 405 Method Not Allowed"


class NotAcceptable(RestError):
    error_code = 406
    message = "HTTP 406 Not Acceptable"


class FormatMismatch(RestError):
    error_code = 40601
    message = (
        "The requested embedded data format does not match the deserializer for this consumer "
        "instance"
    )


class RequestTimeout(RestError):
    error_code = 408
    message = "HTTP 408 Request Timeout"


class SchemaRegistryFailure(RestError):
    error_code = 40801
    message = "Schema registration or lookup failed"


class RegistryUnauthenticated(SchemaRegistryFailure):
    """The schema registry does not take the proxy's credentials."""


class RegistryForbidden(SchemaRegistryFailure):
    """The schema registry knows the proxy and does not let it do that."""


class DeserializationFailed(SchemaRegistryFailure):
    message = "Error deserializing a record:"


class AlreadySubscribed(RestError):
    error_code = 40901
    message = (
        "Consumer cannot subscribe the the specified target because it has already subscribed to "
        "other topics."
    )


class InstanceExists(RestError):
    error_code = 40902
    message = "Consumer with specified consumer ID already exists in the specified consumer group."


class IllegalState(RestError):
    error_code = 40903
    message = "Illegal state:"


class BodyTooLarge(RestError):
    error_code = 413
    message = "HTTP 413 Request Entity Too Large"


class UnsupportedMediaType(RestError):
    error_code = 415
    message = "HTTP 415 Unsupported Media Type"


class Unprocessable(RestError):
    error_code = 422
    message = "Unprocessable Entity"


class WrongType(Unprocessable):
    """JSON of another kind than the place in a body wants."""


class InvalidBase64(Unprocessable):
    message = "Record contains invalid base64 encoding"


class ConsumerConfigOutOfRange(Unprocessable):
    """Code 40001 goes with status 422 (reference behaviour)."""

    error_code = 40001
    message = "Invalid consumer configuration. It does not abide by the constraints:"

    @property
    def status(self) -> int:
        return Unprocessable.error_code


class KeySchemaMissing(RestError):
    error_code = 42201
    message = "Request includes keys but does not include key schema"


class ValueSchemaMissing(RestError):
    error_code = 42202
    message = "Request includes values but does not include value schema"


class ConversionFailed(RestError):
    error_code = 42203
    message = "Conversion of JSON to Avro failed:"


class InvalidConsumerConfig(RestError):
    error_code = 42204
    message = "Invalid consumer configuration:"


class InvalidSchema(RestError):
    error_code = 42205
    message = "Invalid schema:"


class NoSchemaRegistry(RestError):
    error_code = 42206
    message = "Payload error. Schema Registry must be configured when using schemas:"


class SerializationFailed(RestError):
    error_code = 42207
    message = "Error serializing message."


class TooManyRequests(RestError):
    error_code = 429
    message = "HTTP 429 Too Many Requests"


class InternalError(RestError):
    error_code = 500
    message = "Internal Server Error"


class KafkaFailure(RestError):
    error_code = 50002
    message = "Kafka error:"


class Undecodable(KafkaFailure):
    """A stored record that the instance's format cannot read."""


class KafkaRetriable(RestError):
    error_code = 50003
    message = "Kafka error, the request can be retried:"


class ServiceUnavailable(RestError):
    error_code = 503
    message = "HTTP 503 Service Unavailable"


class SimpleConsumersBusy(RestError):
    error_code = 50301
    message = (
        "No SimpleConsumer is available at the time in the pool. The request can be retried. "
        "You can increase the pool size or the pool timeout to avoid this error in the future."
    )


class GatewayTimeout(RestError):
    error_code = 504
    message = "HTTP 504 Gateway Timeout"


ERRORS: dict[int, type[RestError]] = {kind.error_code: kind for kind in RestError.__subclasses__()}
CODES = sorted(
    {*ERRORS, *(kind.error_code for above in ERRORS.values() for kind in above.__subclasses__())}
)
"""Every code, of v2 too."""
