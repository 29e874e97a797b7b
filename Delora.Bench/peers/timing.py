"""Times on a CUDA device: runs are queued one behind the other between two events, as Delora's side queues its own."""

import statistics
import time

import torch

MAX_ROUNDS, MIN_ROUNDS, MAX_QUEUED = 11, 3, 200


def queue(run, count):
    """Milliseconds for one of `count` runs."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    begin.record()
    for _ in range(count):
        run()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / count


def median(run, seconds):
    """The median milliseconds of a run, in about `seconds` of measuring after the first runs."""
    queue(run, 1)
    once = max(queue(run, 1), 1e-4)
    count = int(min(max(seconds * 1e3 / MAX_ROUNDS / once, 1), MAX_QUEUED))
    if once < seconds * 1e3 / 4:
        queue(run, count)
    rounds, start = [], time.perf_counter()
    while len(rounds) < MIN_ROUNDS or len(rounds) < MAX_ROUNDS and time.perf_counter() - start < seconds:
        rounds.append(queue(run, count))
    return statistics.median(rounds)
