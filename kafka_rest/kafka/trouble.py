"""The last broker trouble that a client was told of: what a time-out alone would not say.

Not for errors of topics, groups and records: those come with their own answers.
"""

import logging
import math
import time

from confluent_kafka import KafkaError

from kafka_rest.kafka.failures import BROKER_TROUBLE, is_refusal, sentence
from kafka_rest.records import Clock

log = logging.getLogger(__name__)

TROUBLE_SECONDS = 40.0
"""librdkafka tells the same trouble again after 30 s and a second's wait for the next attempt."""
_NO_TOKEN = "OAUTHBEARER token"
# While it goes on, librdkafka tells it again with every connection, about once a second.
REFUSAL_SECONDS = 10.0


class BrokerTrouble:
    """What `error_cb` of a client has brought. Thread-safe; `client` is its name in the log.

    `lasting`: for one who is told when it is `over`. Only so is a missing token known for as long
    as it is missing: librdkafka tries again every ten seconds and tells it once.
    """

    def __init__(self, client: str, clock: Clock = time.monotonic, lasting: bool = False) -> None:
        self._client, self._clock, self._lasting = client, clock, lasting
        self._told: tuple[KafkaError, float] | None = None

    def take(self, error: KafkaError) -> None:
        """Note an error; to be a client's `error_cb`."""
        last = self.last
        if error.fatal():
            # Nothing mends a client that has failed for good.
            self._told = (error, math.inf)
            return
        if error.code() not in BROKER_TROUBLE or (last is not None and last.fatal()):
            return
        if error.code() == KafkaError._ALL_BROKERS_DOWN and last is not None:
            # It follows the error that says why.
            return
        if self.refusal is not None and not is_refusal(error):
            # The same connections end, or others in the middle of a handshake: that says less.
            return
        if is_refusal(error) and not (last is not None and is_refusal(last)):
            log.warning("no connection to Kafka client=%s reason=%s", self._client, sentence(error))
        self._told = (error, self._clock())

    def over(self) -> None:
        """Forget it: Kafka has answered. A client that has failed for good stays so."""
        if self._told is not None and not self._told[0].fatal():
            self._told = None

    @property
    def last(self) -> KafkaError | None:
        """What has ended the client, else the last trouble, for `TROUBLE_SECONDS`."""
        return self._since(TROUBLE_SECONDS)

    @property
    def refusal(self) -> KafkaError | None:
        """The last trouble, where it is that Kafka and the proxy do not accept each other: wrong
        credentials, or a certificate that is not trusted. None ten seconds after the last one.
        """
        last = self._since(REFUSAL_SECONDS)
        return last if last is not None and is_refusal(last) else None

    def _since(self, seconds: float) -> KafkaError | None:
        told = self._told
        if told is None:
            return None
        lasts = self._lasting and _NO_TOKEN in told[0].str()
        return told[0] if lasts or self._clock() - told[1] < seconds else None
