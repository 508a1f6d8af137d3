"""What the worker class and the hooks take for granted of gunicorn: an upgrade that moves it fails
here.
"""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from gunicorn import arbiter, systemd, util
from gunicorn.http import body, message, parser, unreader, wsgi
from gunicorn.workers import base, gthread

MASTER, WORKER, CONNECTION = arbiter.Arbiter, gthread.ThreadWorker, gthread.TConn

SIGNATURES: list[tuple[Callable[..., Any], list[str]]] = [
    (WORKER.enqueue_req, ["self", "conn"]),
    (WORKER.handle, ["self", "conn"]),
    (WORKER.finish_request, ["self", "conn", "fs"]),
    (WORKER.run, ["self"]),
    (WORKER.init_process, ["self"]),
    (WORKER.handle_request, ["self", "req", "conn"]),
    (WORKER.set_accept_enabled, ["self", "enabled"]),
    (base.Worker.load_wsgi, ["self"]),
    (wsgi.Response.should_close, ["self"]),
    (wsgi.Response.start_response, ["self", "status", "headers", "exc_info"]),
    (message.Message.should_close, ["self"]),
    (unreader.Unreader.unread, ["self", "data"]),
    (util.http_date, ["timestamp"]),
    (gthread.PollableMethodQueue.defer, ["self", "callback", "args"]),
    (CONNECTION.__init__, ["self", "cfg", "sock", "client", "server"]),
    (CONNECTION.wait_for_data, ["self", "timeout"]),
    (CONNECTION.close, ["self", "graceful"]),
    (parser.RequestParser.__init__, ["self", "cfg", "source", "source_addr"]),
    (parser.RequestParser.finish_body, ["self", "deadline", "max_bytes"]),
    (unreader.SocketUnreader.chunk, ["self", "size_hint"]),
    (body.LengthReader.__init__, ["self", "unreader", "length"]),
    (util.write_error, ["sock", "status_int", "reason", "mesg"]),
]

USES: list[tuple[Callable[..., Any], list[str]]] = [
    (WORKER.accept, ["self.enqueue_req(conn)", "listener.accept()", "errno.ECONNABORTED"]),
    (WORKER.set_accept_enabled, ["self.poller.register(listener, selectors.EVENT_READ"]),
    (WORKER.on_client_socket_readable, ["self.enqueue_req(conn)"]),
    (WORKER.on_pending_socket_readable, ["self.enqueue_req(conn)"]),
    (WORKER.finish_request, ["result is _DEFER", "conn.close(graceful=True)", "fs.result()"]),
    (WORKER.handle, ["conn.init()", "next(conn.parser)", "conn.sock.setblocking(True)"]),
    (CONNECTION.init, ["if self.parser is None", "if self.initialized"]),
    (wsgi.create, ["environ['wsgi.url_scheme'] = req.scheme"]),
    (arbiter.Arbiter.run, ['handler = getattr(self, "handle_%s" % signame, None)']),
    (parser.Parser.__next__, ["self.finish_body()"]),
    (wsgi.create, ["response_class = Response"]),
    (wsgi.Response.write, ["self.send_headers()", "self._emit_body(arg)"]),
    (WORKER.handle_request, ["resp.headers_sent", "resp.write(item)", "resp.close()"]),
    (WORKER.handle_request, ["self.wsgi(environ, resp.start_response)"]),
    (WORKER.handle_request, ["if resp.should_close():", "post_request(self, req, environ, resp)"]),
    (WORKER.handle, ["self._keepalive_after(conn, self.handle_request(req, conn))"]),
    (WORKER.__init__, ["self.max_keepalived = self.cfg.worker_connections - self.cfg.threads"]),
    (WORKER.run, ["while self.alive", "self.set_accept_enabled(False)", "self.nr_conns > 0"]),
    (CONNECTION.wait_for_data, ["if self.data_ready"]),
    (base.Worker.load_wsgi, ["self.wsgi = self.app.wsgi()"]),
    (wsgi.create, ["if req._expected_100_continue", "resp = response_class(req, sock, cfg"]),
    (wsgi.Response.process_headers, ["HEADER_VALUE_RE.fullmatch(value)"]),
    (
        wsgi.Response.default_headers,
        ['"Server: %s', "self.version", '"Date: %s', '"Connection: %s', '"keep-alive"'],
    ),
    (wsgi.Response.__init__, ["self.version = SERVER", "self.req = req"]),
    (base.Worker.handle_error, ["util.write_error(client, status_int, reason, mesg)"]),
    (base.Worker.handle_error, ['"Invalid request from ip={ip}: {error}"', "self.log.warning("]),
    (base.Worker.handle_error, ['("Error handling request %s %s", req.method, req.uri)']),
    (base.Worker.init_process, ["self.init_signals()", "self.cfg.post_worker_init(self)"]),
    (MASTER.run, ["self.wait_for_signals(timeout=1.0)", "self.murder_workers()"]),
    (MASTER.reload, ["self.cfg.on_reload(self)", "self.reap_workers()"]),
    (MASTER.murder_workers, ["worker.tmp.last_update()", "time.monotonic()"]),
    (MASTER.start, ["self.cfg.on_starting(self)", "systemd.listen_fds()"]),
    (MASTER.stop, ["not self.systemd", "sock.close_sockets(self.LISTENERS, unlink)"]),
    (systemd.sd_notify, ["os.environ.get('NOTIFY_SOCKET')"]),
]


@pytest.mark.parametrize(
    ("function", "parameters"), SIGNATURES, ids=lambda x: getattr(x, "__qualname__", "")
)
def test_signature_is_known(function: Callable[..., Any], parameters: list[str]) -> None:
    assert list(inspect.signature(function).parameters) == parameters


@pytest.mark.parametrize(("function", "texts"), USES, ids=lambda x: getattr(x, "__qualname__", ""))
def test_name_is_used_as_known(function: Callable[..., Any], texts: list[str]) -> None:
    source = inspect.getsource(function)
    assert [text for text in texts if text not in source] == []


def test_connections_are_parsed_by_the_class_that_ours_extends() -> None:
    assert parser.RequestParser.mesg_class is message.Request
    assert gthread._DEFER is not None
    assert list(inspect.signature(util.close_graceful).parameters)[:2] == ["sock", "timeout"]


def test_thread_pool_is_used_in_one_place_alone() -> None:
    others = (f for n, f in inspect.getmembers(WORKER, inspect.isfunction) if n != "enqueue_req")
    assert "self.tpool.submit" not in "".join(inspect.getsource(f) for f in others)


def test_master_is_asked_before_it_says_that_it_is_ready() -> None:
    source = inspect.getsource(MASTER.start)
    assert (
        source.index("on_starting(self)") < source.index("sd_notify(") < source.index("when_ready")
    )
