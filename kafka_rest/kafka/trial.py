"""Try the Kafka clients' configuration before a server starts, in a child process.

Only librdkafka itself knows all its values, and a client must not be made in a process that forks
workers later.
"""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from kafka_rest import settings as s
from kafka_rest.kafka import config
from kafka_rest.kafka.failures import error_of, sentence
from kafka_rest.settings.secrets import without_credentials

TRIAL_SECONDS = 10.0
_NO_MECHANISM = "No provider for SASL mechanism"
_MECHANISMS = (
    "Set client.sasl.mechanism to PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER "
    "(Kerberos needs confluent-kafka built with libsasl2)"
)


def client_mistakes(settings: s.Settings) -> list[str]:
    """What cannot be used of the settings for the Kafka clients: what has no translation, or what
    librdkafka refuses, one sentence each.

    Takes some ten milliseconds, `TRIAL_SECONDS` at the most.
    """
    mistakes = config.translation_mistakes(settings)
    return mistakes or _refused(settings)


def _refused(settings: s.Settings) -> list[str]:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_try_all, args=(settings, theirs), daemon=True)
    child.start()
    theirs.close()
    try:
        return list(ours.recv()) if ours.poll(TRIAL_SECONDS) else []
    except EOFError:
        return ["the Kafka clients cannot be made with these settings"]
    finally:
        child.kill()
        child.join()
        ours.close()


def _try_all(settings: s.Settings, answer: Connection) -> None:
    # Made, not used: without brokers none of them tries to connect.
    quiet = {"bootstrap.servers": "", "log_level": 0}
    made = (config.producer_config, config.consumer_config, config.admin_config)
    producer, consumer, admin = (config.without_debug(make(settings)) | quiet for make in made)
    trials: list[tuple[str, Callable[[], Any]]] = [
        ("producer", lambda: Producer(producer)),
        ("consumer", lambda: Consumer(consumer | {"group.id": "trial"})),
        ("admin client", lambda: AdminClient(admin)),
    ]
    mistakes = []
    for kind, make in trials:
        try:
            make()
        except KafkaException as failure:
            text = sentence(error_of(failure))
            if _NO_MECHANISM in text:
                text += f". {_MECHANISMS}"
            mistakes.append(f"the {kind}'s settings are refused: {text}")
        except (TypeError, ValueError) as error:
            text = without_credentials(str(error))
            mistakes.append(f"the {kind}'s settings are refused: {text}")
    answer.send(mistakes)
