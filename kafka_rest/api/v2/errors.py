"""Where v2 answers a failure with another code than v1: the table of them."""

from kafka_rest import errors
from kafka_rest.errors import RestError, because

_IN_V2: dict[type[RestError], type[RestError]] = {
    errors.ConversionFailed: errors.BadRequest,
    errors.IllegalTopic: errors.InvalidRequest,
    errors.InvalidBase64: errors.BadRequest,
    errors.RegistryForbidden: errors.TopicForbidden,
    errors.RegistryUnauthenticated: errors.AuthenticationFailed,
    errors.SchemaRegistryFailure: errors.SerializationFailed,
    errors.Undecodable: errors.DeserializationFailed,
    errors.UnknownTopic: errors.TopicNotHosted,
    errors.WrongType: errors.BadRequest,
}


def differs_in_v2(error: RestError) -> bool:
    """True where v2 answers another code."""
    return type(error) in _IN_V2


def in_v2(error: RestError) -> RestError:
    """The error as v2 answers it."""
    if not differs_in_v2(error):
        return error
    return because(_IN_V2[type(error)], error.cause or error.text)
