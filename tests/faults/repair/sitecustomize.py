"""Lets a Python under libfaketime sleep.

CPython sleeps until an instant of the monotonic clock. libfaketime 0.9.10, told to leave that
clock alone, takes the instant for one of the clock it fakes, and the call fails with EINVAL.
"""

import select
import time


def _sleep(seconds, /):
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


time.sleep = _sleep
