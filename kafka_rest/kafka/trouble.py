"""The last broker trouble that a client was told of: what a time-out alone would not say.

Not for errors of topics, groups and records: those come with their own answers.
"""

import logging
import time

from confluent_kafka import KafkaError

from kafka_rest.kafka.failures import BROKER_TROUBLE, is_refusal, sentence
from kafka_rest.records import Clock

log = logging.getLogger(__name__)

TROUBLE_SECONDS = 60.0
# While it goes on, librdkafka tells it again: with every connection, about once a second, or every
# ten seconds where it gets no token.
REFUSAL_SECONDS = 30.0


class BrokerTrouble:
    """What `error_cb` of one client has brought. Thread-safe; `client` is its name in the log."""

    def __init__(self, client: str, clock: Clock = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._told: tuple[KafkaError, float] | None = None

    def take(self, error: KafkaError) -> None:
        """Note an error; to be a client's `error_cb`."""
        if error.code() not in BROKER_TROUBLE:
            return
        last = self.last
        if error.code() == KafkaError._ALL_BROKERS_DOWN and last is not None:
            # It follows the error that says why.
            return
        if is_refusal(error) and not (last is not None and is_refusal(last)):
            log.warning("no connection to Kafka client=%s reason=%s", self._client, sentence(error))
        self._told = (error, self._clock())

    def over(self) -> None:
        """Forget it: Kafka has answered."""
        self._told = None

    @property
    def last(self) -> KafkaError | None:
        """The last trouble of the past minute."""
        return self._since(TROUBLE_SECONDS)

    @property
    def refusal(self) -> KafkaError | None:
        """The last trouble, where it is that Kafka and the proxy do not accept each other: wrong
        credentials, or a certificate that is not trusted. None half a minute after the last one.
        """
        last = self._since(REFUSAL_SECONDS)
        return last if last is not None and is_refusal(last) else None

    def _since(self, seconds: float) -> KafkaError | None:
        told = self._told
        return told[0] if told and self._clock() - told[1] < seconds else None
