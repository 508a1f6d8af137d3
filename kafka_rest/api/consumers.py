"""What the views of consumer instances share, and the one that is the same in all API versions."""

from kafka_rest.api.endpoints import endpoint
from kafka_rest.api.envelopes import ConsumerOptions
from kafka_rest.api.request import Call
from kafka_rest.api.response import NO_CONTENT, Answer, Later
from kafka_rest.api.rights import instance_of
from kafka_rest.api.v1 import offers
from kafka_rest.api.v2 import offers as v2
from kafka_rest.core.consume import ReadResult
from kafka_rest.core.pending import Pending
from kafka_rest.errors import FormatMismatch, InvalidConsumerConfig, Unprocessable, because
from kafka_rest.kafka import config
from kafka_rest.kafka.consumers import ConsumerInstance

_TRUTH = {"true": True, "false": False}


@endpoint(
    "consumers.delete",
    "DELETE",
    "/consumers/<group>/instances/<instance>",
    offers.CONSUMERS,
    v2.SHARED_CONSUMERS,
)
def delete_instance(call: Call, group: str, instance: str) -> Answer:
    """Close an instance; its name is free at once."""
    instance_of(call, group, instance)
    call.clients.instances.delete(group, instance)
    return NO_CONTENT


def read_answer(pending: Pending[ReadResult], media_type: str | None = None) -> Answer | Later:
    """The answer of a read: now where it has ended already, else later."""
    later = Later(
        pending,
        lambda result: Answer(result.text(), media_type=media_type),
        raises=True,
    )
    return later.wait() if pending.there else later


def instance_name(options: ConsumerOptions) -> str:
    """The name that a create call asks for, "" for none. Raises: Unprocessable."""
    if options.name is not None and (not options.name.strip() or "/" in options.name):
        raise Unprocessable(
            "name: an instance name may not be empty or contain a slash, it would not fit "
            "into a URL."
        )
    return options.name or ""


def auto_commit(call: Call, options: ConsumerOptions, otherwise: bool) -> bool:
    """Whether the instance commits by itself: as asked for, as the server is set, `otherwise`.

    Raises: InvalidConsumerConfig.
    """
    value = options.auto_commit_enable
    if value is None:
        default = config.default_auto_commit(call.settings)
        return otherwise if default is None else default
    if value.lower() not in _TRUTH:
        raise because(
            InvalidConsumerConfig,
            f"Wrong value {value[:40]} of auto.commit.enable; valid values are true and false",
        )
    return _TRUTH[value.lower()]


def require_format(instance: ConsumerInstance, asked: str) -> None:
    """Refuse to read in a format that is not the instance's. Raises: FormatMismatch."""
    own = instance.description.embedded_format
    if asked != own:
        raise because(FormatMismatch, f"(it reads {own}, the Accept header asks for {asked}).")
