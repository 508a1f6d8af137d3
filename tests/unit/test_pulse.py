"""The pulse of a thread: what counts as a sign of life, and for how long."""

import threading

from kafka_rest.pulse import STALL_SECONDS, Pulse


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_loop_that_comes_round_has_no_problem() -> None:
    clock, end = Clock(), threading.Event()
    thread = threading.Thread(target=end.wait, name="loop")
    pulse = Pulse(thread, clock)
    thread.start()
    clock.now = STALL_SECONDS
    assert (pulse.problem, pulse.age) == ("", STALL_SECONDS)
    clock.now += 5
    assert pulse.problem == f"thread loop has stood still for {STALL_SECONDS + 5:.0f} s"
    pulse.beat()
    assert (pulse.problem, pulse.age) == ("", 0)
    end.set()
    thread.join()
    assert pulse.problem == "thread loop has ended"


def test_thread_that_has_not_been_started_is_not_missed() -> None:
    assert Pulse(threading.Thread(), Clock()).problem == ""
