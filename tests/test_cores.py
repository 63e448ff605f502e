"""How many processor cores this process may use."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

from shot_types.cores import cores


@pytest.mark.parametrize(("said", "count"), [("3", 3), ("1", 1)])
def test_what_the_environment_says_counts(monkeypatch, said, count):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert cores() == count


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
@pytest.mark.parametrize("said", ["", "0", "many"])
def test_else_those_that_the_process_is_bound_to(said):
    bind = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
    code = f"{bind} from shot_types.cores import cores; print(cores())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": said}
    assert subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout == "1\n"
