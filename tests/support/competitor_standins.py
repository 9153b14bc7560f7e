"""Competitors that misbehave, for the tests of the comparison."""

import os
import subprocess
import sys
import time
from pathlib import Path

from experiments.competitors import Competitor, Run
from experiments.competitors.workloads import Workload

PIDS = "STANDIN_PIDS"


class Standin(Competitor):
    """Does nothing, quickly."""

    name = "stand-in"

    def supports(self, workload: Workload) -> bool:
        return True

    def prepare(self, workload: Workload, x: object, y: object, seed: int) -> Run:
        self.runs = 0
        return self.run

    def run(self) -> None:
        self.runs += 1
        time.sleep(0.001)


class ProcessNumber(Standin):
    """Reports the number of its process as the seconds of training."""

    def training_seconds(self) -> float:
        return float(self.runs * os.getpid())


class Noisy(Standin):
    """Prints to the stream of the answers."""

    def run(self) -> None:
        super().run()
        print('{"call": -1.0, "training": -1.0}', flush=True)
        os.write(1, b"not even JSON\n")


class Raises(Standin):
    """Cannot be prepared."""

    def prepare(self, workload: Workload, x: object, y: object, seed: int) -> Run:
        raise RuntimeError("out of\npatience" + 100 * "!")


class Dies(Standin):
    """Ends its process in the first timed run, without a message."""

    def run(self) -> None:
        super().run()
        if self.runs == 2:
            os._exit(3)


class Crashes(Standin):
    """Is killed by a signal in the second timed run."""

    def run(self) -> None:
        super().run()
        if self.runs == 3:
            os.kill(os.getpid(), 11)


class Hangs(Standin):
    """Starts a child process, writes both process numbers, and never returns from the second run."""

    def run(self) -> None:
        super().run()
        if self.runs == 1:
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            path = Path(os.environ[PIDS])
            path.with_suffix(".new").write_text(f"{os.getpid()} {child.pid}")
            path.with_suffix(".new").rename(path)
        else:
            time.sleep(600)


class Needy(Standin):
    """Requires a module that does not exist."""

    requires = ("a_library_that_is_nowhere",)


class Stranger:
    """Is no competitor at all."""
