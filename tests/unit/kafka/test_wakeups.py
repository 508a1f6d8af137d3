"""What librdkafka tells of a consumer's queue, by itself."""

import select

from confluent_kafka import Consumer

from kafka_rest.kafka.wakeups import Wakeups


def consumer_of(client_id: str = "rdkafka") -> Consumer:
    """A consumer whose Kafka is not there, but that gets statistics into its queue all the time."""
    return Consumer(
        {
            "group.id": "g",
            "bootstrap.servers": "127.0.0.1:1",
            "client.id": client_id,
            "log_level": 0,
            "statistics.interval.ms": 20,
            "stats_cb": lambda _text: None,
        }
    )


def emptied(consumer: Consumer) -> None:
    """Take everything out of the consumer's queue: librdkafka tells of what comes after that."""
    while consumer.consume(100, 0):
        pass


def heard(wakeups: Wakeups, seconds: float) -> list[int]:
    poll = select.poll()
    poll.register(wakeups.descriptor, select.POLLIN)
    return wakeups.told() if poll.poll(seconds * 1000) else []


def test_number_is_told_whenever_an_empty_queue_gets_something() -> None:
    wakeups, consumer = Wakeups(), consumer_of()
    detach = wakeups.attach(consumer, "rdkafka", 77)
    assert detach is not None
    for _ in range(3):
        emptied(consumer)
        assert set(heard(wakeups, 5)) == {77}
    detach()
    wakeups.told()
    emptied(consumer)
    assert heard(wakeups, 0.1) == []
    consumer.close()
    wakeups.close()


def test_consumer_that_is_not_what_was_expected_is_left_alone() -> None:
    wakeups, consumer = Wakeups(), consumer_of("mine")
    assert wakeups.attach(consumer, "another", 1) is None
    consumer.close()
    wakeups.close()


def test_unknown_library_is_left_alone() -> None:
    wakeups = Wakeups(known=False)
    not_a_consumer = object()
    assert wakeups.attach(not_a_consumer, "rdkafka", 1) is None  # type: ignore[arg-type]
    wakeups.close()


def test_full_pipe_loses_numbers_and_blocks_nobody() -> None:
    wakeups = Wakeups()
    for _ in range(20_000):
        wakeups.tell(5)
    told = wakeups.told()
    assert set(told) == {5}
    wakeups.close()


def test_pipe_stays_open_while_a_consumer_may_write_to_it() -> None:
    wakeups, consumer = Wakeups(), consumer_of()
    detach = wakeups.attach(consumer, "rdkafka", 3)
    assert detach is not None
    wakeups.close()
    wakeups.tell(9)
    assert 9 in wakeups.told()
    detach()
    wakeups.close()
    consumer.close()


def test_number_told_after_the_end_goes_nowhere() -> None:
    wakeups = Wakeups()
    wakeups.close()
    wakeups.tell(5)
