"""What a piece of work costs in steps of the interpreter: the same number on every run."""

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

TESTS = f"{Path(__file__).parents[1]}/"


class Cost(NamedTuple):
    """Calls of Python functions (a generator that goes on is one too), and instructions executed.

    What C code does within an instruction is not in it.
    """

    calls: int
    instructions: int


def cost_of(work: Callable[[], object]) -> Cost:
    """Do the work, and count what this thread executes for it outside of the tests' own files."""
    calls = instructions = 0

    def on_call(frame: FrameType, _event: str, _argument: Any) -> Any:
        nonlocal calls
        if frame.f_code.co_filename.startswith(TESTS):
            return None
        calls += 1
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return on_step

    def on_step(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal instructions
        instructions += event == "opcode"
        return on_step

    before, collects = sys.gettrace(), gc.isenabled()
    # A collection would run finalizers of others.
    gc.disable()
    sys.settrace(on_call)
    try:
        work()
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()
    return Cost(calls, instructions)
