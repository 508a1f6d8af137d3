import pytest

from tests.performance.perf import NoPerf, recorded, shares

REPORT = """# Samples: 12K of event 'cpu-clock'
# Overhead  Shared Object
# ........  .............
    50.50%  python3.11
    20.25%  [kernel.kallsyms]
     0.25%  [vdso]
    10.00%  librdkafka-9a4a1e3b.so.1
     4.00%  libc-2.31.so
     1.00%  _core.cpython-311-x86_64-linux-gnu.so
     0.50%  cimpl.cpython-311-x86_64-linux-gnu.so
     0.30%  _socket.cpython-311-x86_64-linux-gnu.so
     0.20%  libz.so.1
"""


def test_files_are_kinds_of_code() -> None:
    assert shares(REPORT) == pytest.approx(
        {
            "interpreter": 50.5,
            "kernel": 20.5,
            "librdkafka": 10.0,
            "C library": 4.0,
            "JSON": 1.0,
            "its binding": 0.5,
            "other": 0.5,
        }
    )


def test_report_of_no_samples_has_no_shares() -> None:
    assert shares("Error:\nThe perf.data data has no samples!\n") == {}


def test_machine_without_perf_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoPerf, match="not on this machine"), recorded([1]):
        pass
