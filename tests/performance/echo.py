"""Baseline: the least that an HTTP answer costs in Python. A few processes, each an epoll loop.

    python -m tests.performance.echo PORT PROCESSES

Every request gets the same answer, that of one record. It serves the load generator on this machine
and nothing else: it knows POST with a Content-Length, and no pipelining.
"""

import os
import select
import socket
import sys

from tests.performance.answers import produce_answer

RECEIVED_BYTES = 262_144
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


def answer() -> bytes:
    """Head and body of the answer."""
    body = produce_answer(1)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


def is_complete(data: bytes) -> bool:
    """Whether a request has come in whole."""
    head_end = data.find(HEAD_END)
    if head_end < 0:
        return False
    _, found, rest = data[:head_end].lower().partition(LENGTH)
    length = int(rest.split(b"\r\n", 1)[0]) if found else 0
    return len(data) >= head_end + len(HEAD_END) + length


def serve(listener: socket.socket) -> None:
    """Answer until the process is ended."""
    reply, poll = answer(), select.epoll()
    open_ones: dict[int, socket.socket] = {}
    parts: dict[int, bytes] = {}
    poll.register(listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)
    while True:
        for number, _events in poll.poll():
            connection = open_ones.get(number)
            if connection is None:
                _accept(listener, poll, open_ones)
                continue
            try:
                data = connection.recv(RECEIVED_BYTES)
            except ConnectionError:
                data = b""
            if not data:
                parts.pop(number, None)
                open_ones.pop(number).close()
                continue
            whole = parts.pop(number, b"") + data
            if is_complete(whole):
                connection.send(reply)
            else:
                parts[number] = whole


def _accept(
    listener: socket.socket, poll: select.epoll, open_ones: dict[int, socket.socket]
) -> None:
    try:
        connection, _address = listener.accept()
    except BlockingIOError:
        return  # Another process was faster.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    open_ones[connection.fileno()] = connection
    poll.register(connection, select.EPOLLIN)


def main() -> None:
    """Listen, fork the other processes and serve; all end with the first."""
    port, processes = int(sys.argv[1]), int(sys.argv[2])
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    listener.setblocking(False)
    parent = os.getpid()
    for _ in range(processes - 1):
        if os.fork() == 0:
            _end_with(parent)
            break
    serve(listener)


def _end_with(parent: int) -> None:
    """Let the kernel end this process when its parent ends."""
    import ctypes
    import signal

    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit()


if __name__ == "__main__":
    main()
