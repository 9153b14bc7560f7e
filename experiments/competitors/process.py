"""Starting, commanding and ending the process of a competitor."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

_ROOT = Path(__file__).resolve().parents[2]
# Otherwise, the first process with JAX takes most of a GPU's memory.
_ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
_SECONDS_TO_QUIT = 10.0


class WorkerFailedError(Exception):
    """A competitor raised an error, died, or gave no answer in time; the message is one line."""


class WorkerProcess:
    """A process for one competitor and one workload, which never outlives this process.

    Use it in a ``with`` statement, which kills the process and its children at the end.
    """

    def __init__(
        self, competitor: str, workload: str, examples: int | None, seed: int, timeout: float
    ) -> None:
        """Start the process; `receive` returns when it has loaded its libraries.

        Args:
            competitor: its name, as in `experiments.competitors.load_competitor`.
            workload: its name.
            examples: the maximal number of examples; None for no limit.
            seed: the seed of the competitor.
            timeout: the time limit of an answer in seconds.
        """
        self.timeout = timeout
        self._closed = False
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed in close
        most = [] if examples is None else ["--examples", str(examples)]
        options = ["--competitor", competitor, "--workload", workload, "--seed", str(seed), *most]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "experiments.competitors.worker", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=_environment(),
            # Ctrl-C in a terminal reaches only the comparing process, which then kills the others.
            start_new_session=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        """Return the process."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, place: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def ask(self, command: str) -> dict[str, Any]:
        """Send a command, and return the answer.

        Raises:
            WorkerFailedError: there was no answer, or it is an error.
        """
        assert self._process.stdin is not None
        with suppress(OSError):  # the process has ended; `receive` reports why
            print(command, file=self._process.stdin, flush=True)
        return self.receive()

    def receive(self) -> dict[str, Any]:
        """Return the next answer; see `ask`."""
        try:
            line = self._lines.get(timeout=self.timeout)
        except queue.Empty:
            self.close()
            raise WorkerFailedError(f"no answer within {self.timeout:g} s") from None
        if line is None:
            raise WorkerFailedError(self._exit_reason())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerFailedError(_one_line(answer["error"]))
        return answer

    def quit(self) -> dict[str, Any]:
        """Let the process end, and return its last answer; see `ask`."""
        answer = self.ask("quit")
        with suppress(subprocess.TimeoutExpired):  # `close` kills it
            self._process.wait(_SECONDS_TO_QUIT)
        self.close()
        return answer

    def close(self) -> None:
        """Kill the process and its children."""
        if self._closed:
            return
        self._closed = True
        _kill(self._process)
        self._process.wait()
        for stream in (self._process.stdin, self._errors):
            with suppress(OSError):  # the pipe broke
                if stream is not None:
                    stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)

    def _exit_reason(self) -> str:
        """Describe how the process ended without an answer."""
        try:
            status = self._process.wait(_SECONDS_TO_QUIT)
        except subprocess.TimeoutExpired:
            return "it closed its output"
        if status < 0:
            return f"ended by signal {signal.Signals(-status).name}"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        said = [line for line in lines if line.strip()][-1:]
        return _one_line(": ".join([f"ended with status {status}", *said]))


def _environment() -> dict[str, str]:
    path = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**_ENVIRONMENT, **os.environ, "PYTHONPATH": os.pathsep.join(path)}


def _kill(process: "subprocess.Popen[str]") -> None:
    if not hasattr(os, "killpg"):
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):  # all have ended
        os.killpg(process.pid, signal.SIGKILL)  # the process leads its own session


def _one_line(text: str) -> str:
    return " ".join(text.split())
