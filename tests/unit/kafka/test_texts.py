"""Texts that librdkafka would cut: refused, and no others."""

import pytest
from confluent_kafka import Consumer

from kafka_rest.errors import InvalidConsumerConfig
from kafka_rest.kafka.texts import require_group


@pytest.mark.parametrize("group", [" ", "\n", "\0", " \t\v\f\r", " x", "\nx", "x\0", "x\0y"])
def test_group_that_would_be_another_is_refused(group: str) -> None:
    with pytest.raises(InvalidConsumerConfig, match="the group"):
        require_group(group)


@pytest.mark.parametrize("group", ["x", "x ", "x\n", "a b", "\x01", "\x1f", "\x85", "\xa0"])
def test_group_that_is_taken_reaches_librdkafka_whole(group: str) -> None:
    require_group(group)
    consumer = Consumer({"group.id": group})
    try:
        assert group.encode() + b"\0" in consumer.consumer_group_metadata()
    finally:
        consumer.close()
