import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.performance.bench import measure, note_memory, parse_options
from tests.performance.cases import Lab, Runner, Sample
from tests.performance.client import Refused
from tests.performance.report import Results
from tests.performance.servers import Server
from tests.stack import Reply, Stack

A, B = Server("a", "http://a"), Server("b", "http://b")
LAB = Lab(Stack("", ""), 1.0, 1.0)


class Recorded:
    """A case that writes down what is done with it."""

    name, table = "case", "other"

    def __init__(self, refuses_start: str = "", refuses_run: str = "", fails_end: str = "") -> None:
        self.refuses_start, self.refuses_run = refuses_start, refuses_run
        self.fails_end = fails_end
        self.steps: list[str] = []

    def takes(self, server: Server) -> bool:
        return server.name != "none"

    @contextmanager
    def start(self, server: Server, _lab: Lab) -> Iterator[Runner]:
        if server.name == self.refuses_start:
            raise Refused.by(Reply(415, {}, b"no |\n such type"))
        yield lambda: self.run(server)
        self.steps.append(f"end {server.name}")
        if server.name == self.fails_end:
            raise ConnectionResetError("gone")

    def run(self, server: Server) -> Sample:
        if server.name == self.refuses_run:
            raise Refused.by(Reply(503, {}, b""))
        self.steps.append(server.name)
        return {"p50_ms": float(len(self.steps))}


class Broken:
    """A case whose run is a mistake of ours."""

    def __init__(self, case: Recorded) -> None:
        self.name, self.table, self.takes = case.name, case.table, case.takes
        self._case = case

    @contextmanager
    def start(self, server: Server, lab: Lab) -> Iterator[Runner]:
        with ExitStack() as stack:
            stack.callback(self._case.steps.append, f"end {server.name}")
            yield lambda: {"p50_ms": 1 / 0}


def test_servers_take_turns_and_are_left_tidy() -> None:
    case = Recorded()
    found = measure(case, [A, Server("none", ""), B], LAB, 2)
    assert case.steps == ["a", "b", "a", "b", "end a", "end b"]
    assert found == {
        "a": {"runs": [{"p50_ms": 1.0}, {"p50_ms": 3.0}]},
        "b": {"runs": [{"p50_ms": 2.0}, {"p50_ms": 4.0}]},
    }


def test_one_that_refuses_does_not_hinder_the_other() -> None:
    found = measure(Recorded(refuses_start="a"), [A, B], LAB, 1)
    assert found["a"] == {"refused": "415 no / such type"}
    assert len(found["b"]["runs"]) == 1


def test_a_refusal_between_the_runs_leaves_no_figure() -> None:
    case = Recorded(refuses_run="b")
    found = measure(case, [A, B], LAB, 2)
    assert found["b"] == {"refused": "503"}
    assert case.steps == ["a", "a", "end a", "end b"]


def test_what_breaks_at_the_end_leaves_no_figure_either() -> None:
    found = measure(Recorded(fails_end="a"), [A, B], LAB, 1)
    assert found["a"] == {"refused": "gone"}
    assert len(found["b"]["runs"]) == 1


def test_what_is_no_failure_of_a_server_is_raised_when_all_is_tidy() -> None:
    case = Recorded()
    with pytest.raises(ZeroDivisionError):
        measure(Broken(case), [A], LAB, 1)
    assert case.steps == ["end a"]


def test_memory_of_a_process_that_has_ended_is_refused_and_others_are_noted() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
        results: Results = {"memory": {}}
        note_memory("now", [A._replace(pid=child.pid), B._replace(pid=os.getpid())], results)
    found = results["memory"]["now"]
    assert "No such process" in found["a"]["refused"]
    assert found["b"]["runs"][0]["rss_mb"] > 0


@pytest.mark.parametrize(
    "words",
    [
        ["--against", "http://h"],
        ["--rounds", "0"],
        ["--seconds", "0.5"],
        ["--bootstrap", "b", "--against", "http://h", "--against-pid", "1", "--against-pid", "2"],
    ],
)
def test_a_command_line_that_means_nothing_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(words)
    assert ended.value.code == 2


def test_another_proxy_has_its_process() -> None:
    words = ["--bootstrap", "b", "--against", "java=http://h", "--against-pid", "7"]
    assert parse_options(words).against == [Server("java", "http://h", 7)]
