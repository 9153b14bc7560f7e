"""The process of one competitor: it loads, prepares and runs on command.

Commands are lines on the standard input; each is answered by one line of JSON on the standard output.
The output of the competitor itself goes to the standard error stream.

    (start)     {"versions": {...}} when libraries and data are loaded
    prepare     {"first_call": seconds, "compile": seconds or null}
    run         {"call": seconds, "training": seconds or null}
    quit        {"peak_megabytes": megabytes or null}, and the process ends

An error is answered by {"error": "..."} and ends the process. The end of the input, when the comparing
process has ended, also ends the process.
"""

import argparse
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from io import RawIOBase
from typing import Any, TextIO

from experiments.competitors import Competitor, Run, load_competitor
from experiments.competitors.memory import PeakMemory
from experiments.competitors.workloads import Workload, all_workloads
from experiments.shared.command_line import non_negative, positive

Answer = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the worker, and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m experiments.competitors.worker")
    parser.add_argument("--competitor", required=True)
    parser.add_argument("--workload", required=True)
    parser.add_argument("--examples", type=positive, help="the maximal number")
    parser.add_argument("--seed", type=non_negative, default=0)
    options = parser.parse_args(arguments)
    commands, answers = _take_standard_streams()
    try:
        competitor = load_competitor(options.competitor)
        workload = all_workloads(options.examples)[options.workload]
        serve(competitor, workload, options.seed, commands, answers)
    except Exception as error:
        traceback.print_exc()
        _answer(answers, {"error": f"{type(error).__name__}: {error}"})
        return 1
    return 0


def serve(
    competitor: Competitor, workload: Workload, seed: int, commands: "queue.Queue[str]", answers: TextIO
) -> None:
    """Load libraries and data, then execute commands until "quit"."""
    competitor.load()
    x, y = workload.data()
    memory = PeakMemory()
    _answer(answers, {"versions": _versions(competitor)})
    run: Run | None = None
    while (command := commands.get()) != "quit":
        if command == "prepare":
            start = time.perf_counter()
            run = competitor.prepare(workload, x, y, seed)
            run()
            wall = time.perf_counter() - start
            _answer(answers, {"first_call": wall, "compile": competitor.compile_seconds})
        elif command == "run" and run is not None:
            _answer(answers, _timed(competitor, run))
        else:
            raise ValueError(f"expected prepare, then run or quit, got {command!r}")
    _answer(answers, {"peak_megabytes": memory.megabytes()})


def _timed(competitor: Competitor, run: Run) -> Answer:
    """Return the seconds of one run, and those of them that the competitor spent in training."""
    before, start = competitor.training_seconds(), time.perf_counter()
    run()
    call, after = time.perf_counter() - start, competitor.training_seconds()
    return {"call": call, "training": None if before is None or after is None else after - before}


def _versions(competitor: Competitor) -> dict[str, str]:
    """Return the version of each required module by the name of its package."""
    packages = packages_distributions()
    found = {}
    for module in competitor.requires:
        package = packages.get(module.partition(".")[0], [module])[0]
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def _take_standard_streams() -> tuple["queue.Queue[str]", TextIO]:
    """Return the commands and the stream for the answers; competitors can no longer access these."""
    source = os.fdopen(os.dup(0), "rb", buffering=0)  # a buffer's lock could be held at exit
    answers = os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    commands: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(source, commands), daemon=True).start()
    return commands, answers


def _read(source: RawIOBase, commands: "queue.Queue[str]") -> None:
    for line in source:
        command = line.decode().strip()
        commands.put(command)
        if command == "quit":
            return
    if hasattr(os, "killpg") and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)  # with the competitor's child processes
    os._exit(1)


def _answer(answers: TextIO, answer: Answer) -> None:
    print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    sys.exit(main())
