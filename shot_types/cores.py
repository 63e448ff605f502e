"""How many processor cores this process may use, which is not always how many there are."""

import os


def cores() -> int:
    """What OMP_NUM_THREADS says, as `analyze_many` sets it for its workers; else as many as the process may run on.

    These are fewer than the machine has where `taskset` or a scheduler bound the process to some.
    """
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdecimal() and int(said):
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
