"""The last broker trouble: what is kept of it, for how long, and what is a refusal."""

import logging

import pytest
from confluent_kafka import KafkaError

from kafka_rest import errors
from kafka_rest.kafka.failures import failed_report, rest_error
from kafka_rest.kafka.messages import LIBRDKAFKA_LOG
from kafka_rest.kafka.trouble import BrokerTrouble
from tests.unit.fakes import FakeClock

WRONG = KafkaError(KafkaError._AUTHENTICATION, "invalid credentials")
DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN)
ALERT = "Receive failed: error:0A000412:SSL routines::ssl/tls alert bad certificate: number 42"


def test_reason_outlives_the_news_that_all_brokers_are_down() -> None:
    trouble = BrokerTrouble("producer")
    trouble.take(DOWN)
    assert trouble.last is DOWN
    trouble.take(WRONG)
    trouble.take(DOWN)
    assert (trouble.last, trouble.refusal) == (WRONG, WRONG)
    trouble.over()
    assert (trouble.last, trouble.refusal) == (None, None)


def test_connection_lost_behind_a_refusal_does_not_hide_it() -> None:
    clock = FakeClock()
    trouble = BrokerTrouble("consumer", clock)
    lost = KafkaError(KafkaError._TRANSPORT, "Disconnected (after 2ms in state SSL_HANDSHAKE)")
    trouble.take(lost)
    trouble.take(WRONG)
    trouble.take(lost)
    assert (trouble.last, trouble.refusal) == (WRONG, WRONG)
    clock.advance(10)
    trouble.take(lost)
    assert (trouble.last, trouble.refusal) == (lost, None)


def test_refusal_ends_when_it_is_not_told_again() -> None:
    clock = FakeClock()
    trouble = BrokerTrouble("producer", clock)
    trouble.take(WRONG)
    clock.advance(9)
    assert trouble.refusal is WRONG
    clock.advance(2)
    assert (trouble.last, trouble.refusal) == (WRONG, None)
    clock.advance(40)
    assert trouble.last is None


def test_missing_token_is_told_once_and_lasts_until_it_is_over() -> None:
    clock = FakeClock()
    text = "Failed to acquire SASL OAUTHBEARER token: invalid_client"
    missing = KafkaError(KafkaError._AUTHENTICATION, text)
    lasting, passing = (BrokerTrouble("x", clock, lasting) for lasting in (True, False))
    for trouble in (lasting, passing):
        trouble.take(missing)
    clock.advance(1000)
    assert (lasting.refusal, passing.refusal) == (missing, None)
    lasting.over()
    assert lasting.refusal is None


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (KafkaError(KafkaError._SSL, "certificate verify failed"), True),
        (KafkaError(KafkaError._SSL, "SSL routines::unexpected eof while reading"), False),
        (KafkaError(KafkaError._TRANSPORT, ALERT), True),
        (KafkaError(KafkaError._TRANSPORT, "Connection refused"), False),
        (KafkaError(KafkaError._RESOLVE, "no such host"), False),
    ],
)
def test_lost_connection_is_no_refusal(error: KafkaError, refused: bool) -> None:
    trouble = BrokerTrouble("producer")
    trouble.take(error)
    assert trouble.last is error
    assert (trouble.refusal is not None) == refused


def test_what_is_no_trouble_of_brokers_is_left_alone() -> None:
    trouble = BrokerTrouble("producer")
    trouble.take(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert trouble.last is None


def test_refusal_is_logged_when_it_begins(caplog: pytest.LogCaptureFixture) -> None:
    trouble = BrokerTrouble("producer")
    with caplog.at_level(logging.WARNING):
        for error in (WRONG, DOWN, WRONG):
            trouble.take(error)
    assert [record.getMessage() for record in caplog.records] == [
        "no connection to Kafka client=producer reason=invalid credentials"
    ]


@pytest.mark.parametrize("code", [KafkaError._TIMED_OUT, KafkaError._TRANSPORT])
def test_vague_error_behind_a_refusal_is_one_of_authentication(code: int) -> None:
    told = rest_error(KafkaError(code), "topic t", WRONG)
    assert isinstance(told, errors.AuthenticationFailed)
    assert (told.status, "invalid credentials" in told.text) == (401, True)
    assert isinstance(rest_error(KafkaError(code), "topic t", DOWN), errors.KafkaRetriable)


def test_record_that_was_never_accepted_says_why() -> None:
    late = KafkaError(KafkaError._MSG_TIMED_OUT)
    assert failed_report(late, WRONG).error_code == 40101
    assert failed_report(late, DOWN).error_code == 50003
    denied = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    assert failed_report(denied, WRONG).error_code == 40301


def test_credentials_in_a_url_are_cut_out() -> None:
    error = KafkaError(KafkaError._AUTHENTICATION, "no token from http://me:hunter2@host:1/token")
    text = rest_error(error, "metadata").text
    assert "hunter2" not in text
    assert "http://host:1/token" in text


def test_log_of_the_library_has_no_credentials_of_urls(caplog: pytest.LogCaptureFixture) -> None:
    LIBRDKAFKA_LOG.warning("no token from %s: %s", "https://me:hunter2@h/token", "refused")
    assert caplog.messages == ["no token from https://h/token: refused"]


def test_what_has_ended_a_client_is_over_with_no_answer() -> None:
    trouble = BrokerTrouble("producer", FakeClock())
    fenced = KafkaError(KafkaError.INVALID_PRODUCER_EPOCH, "fenced", fatal=True)
    trouble.take(fenced)
    trouble.over()
    assert trouble.last is fenced
