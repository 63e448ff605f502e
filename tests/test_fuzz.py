"""What `make fuzz` finds, on children that do what it looks for."""

import contextlib
import os
import sys
import time

import pytest

from tools import fuzz


def child(connection, _):
    """Run 0 is good, 1 dies, 2 hangs, 3 takes memory; whatever comes after that is good again."""
    for number in iter(connection.recv, None):
        if number == 1:
            os._exit(9)
        if number == 2:
            time.sleep(60)
        if number == 3:
            taken = bytearray(os.urandom(1)) * 600_000_000
            time.sleep(60)
            del taken
        connection.send("")


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory as Linux tells it")
def test_a_child_that_dies_hangs_or_takes_memory_is_found_and_followed_by_another(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "child", child)
    monkeypatch.setattr(fuzz, "SECONDS", 1)
    monkeypatch.setattr(fuzz, "MEMORY", 500 << 20)
    with contextlib.closing(fuzz.results(iter([0, 1, 0, 2, 0]), tmp_path)) as results:
        found = dict(results)
    assert found == {0: "", 1: "the process died: 9", 2: "hangs, over 1 s"}
    monkeypatch.setattr(fuzz, "SECONDS", 30)
    assert dict(fuzz.results(iter([0, 3]), tmp_path)) == {0: "", 3: "over 500 MB"}


def test_a_run_is_fixed_by_its_number():
    data = bytes(range(256)) * 40
    runs = [fuzz.damaged(data, number) for number in range(30)]
    assert runs == [fuzz.damaged(data, number) for number in range(30)] and data not in runs and len(set(runs)) == 30
    assert fuzz.damaged(b"", 1) is not None
