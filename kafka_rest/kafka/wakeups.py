"""Learning from librdkafka that a consumer's queue has got something, without a thread that polls.

librdkafka writes a few bytes to a descriptor when an empty queue gets its first element; a consumer
does not offer that to Python, so it is asked for past confluent-kafka, in versions known to a test.
"""

import ctypes as c
import logging
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, cimpl, version

log = logging.getLogger(__name__)

KNOWN_VERSIONS = frozenset({"2.16.0", "2.16.1"})
"""Where a client is the first member of the Python object."""
NUMBER = struct.Struct("=Q")
READ_BYTES = NUMBER.size << 12

_CONSUMER = 1
_library = c.CDLL(cimpl.__file__)


def _function(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(_library, name)
    function.restype, function.argtypes = result, list(arguments)
    return function


_name = _function("rd_kafka_name", c.c_char_p, c.c_void_p)
_type = _function("rd_kafka_type", c.c_int, c.c_void_p)
_queue_of = _function("rd_kafka_queue_get_consumer", c.c_void_p, c.c_void_p)
_enable = _function(
    "rd_kafka_queue_io_event_enable", None, c.c_void_p, c.c_int, c.c_char_p, c.c_size_t
)
_destroy = _function("rd_kafka_queue_destroy", None, c.c_void_p)


class Wakeups:
    """A pipe on which librdkafka tells the numbers of consumers that have got something.

    One that is lost, since the pipe is full, is made up for by whoever looks anyway now and then.
    """

    def __init__(self, known: bool = str(version()) in KNOWN_VERSIONS) -> None:
        self._known = known
        self.descriptor, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._attached = 0
        self._closed = False

    def attach(self, consumer: Consumer, client_id: str, number: int) -> Callable[[], None] | None:
        """Be told this number whenever the consumer's empty queue gets something.

        Returns what ends it, to be called once before the consumer is closed; None where the
        library is not known.
        """
        client = _client(consumer, client_id) if self._known else None
        if client is None:
            return None
        queue = _queue_of(client)
        _enable(queue, self._write, NUMBER.pack(number), NUMBER.size)
        self._attached += 1

        def detach() -> None:
            _enable(queue, -1, None, 0)
            _destroy(queue)
            self._attached -= 1

        return detach

    def tell(self, number: int) -> None:
        """Tell a number from Python, unless closed; callable from a signal handler."""
        if self._closed:
            return
        # A full pipe wakes its reader as well.
        with suppress(BlockingIOError):
            os.write(self._write, NUMBER.pack(number))

    def told(self) -> list[int]:
        """The numbers told since the last look."""
        try:
            data = os.read(self.descriptor, READ_BYTES)
        except BlockingIOError:
            return []
        return [number for (number,) in NUMBER.iter_unpack(data)]

    def close(self) -> None:
        """Close the pipe, unless a consumer that did not close may still write to it."""
        if not self._attached:
            # First of all: a signal may come in between.
            self._closed = True
            os.close(self.descriptor)
            os.close(self._write)


def _client(consumer: Consumer, client_id: str) -> int | None:
    """The library's own handle of a consumer; None where what is found there is no such client."""
    handle = c.c_void_p.from_address(id(consumer) + object.__basicsize__).value
    if handle is None:
        return None
    name: bytes = _name(handle)
    if _type(handle) == _CONSUMER and name.startswith(f"{client_id}#consumer-".encode()):
        return handle
    log.warning("consumers are polled, since their handles are not where they were known to be")
    return None
