"""Which cores the threads of a forked worker run on."""

import subprocess
import sys

FORKED = """
import os, threading
from kafka_rest.kafka.affinity import pin_python_threads
core = max(os.sched_getaffinity(0))
before = os.sched_getaffinity(0)
child = os.fork()
if child == 0:
    there = threading.Event()
    early = threading.Thread(target=there.wait, daemon=True)
    early.start()
    pin_python_threads(core)
    seen = []
    late = threading.Thread(target=lambda: seen.append(os.sched_getaffinity(0)))
    late.start()
    late.join()
    masks = [os.sched_getaffinity(0), os.sched_getaffinity(early.native_id), *seen]
    os._exit(0 if masks == [{core}] * 3 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "not all threads are pinned"
assert os.sched_getaffinity(0) == before, "the parent is"
"""


def test_forked_worker_pins_its_own_threads_and_not_its_parents() -> None:
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=30)
