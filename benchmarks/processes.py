"""Processes that are measured: one at a time, each with an empty cache, timed from its start to its end.

Owns their environment, their seconds, the memory of the whole process tree, and that none is left behind.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from workloads import ROOT

# A look at the memory walks all of a process's pages: four a second took a tenth of a core from the contenders.
SAMPLING_SECONDS = 3.0


class ContenderError(RuntimeError):
    """A contender's process did not end well."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finished:
    """A process that ended well.

    Attributes:
        started: When it was started, in seconds since 1970.
        seconds: From its start to its end.
        processor_seconds: Of all cores, its own and those of the processes that it waited for.
        peak_bytes: The most memory that it and its descendants held at a time.
    """

    started: float
    seconds: float
    processor_seconds: float
    peak_bytes: int

    def measures(self) -> dict[str, float]:
        """What a run's report says of it."""
        return {
            "process_seconds": self.seconds,
            "processor_seconds": self.processor_seconds,
            "peak_bytes": self.peak_bytes,
        }


def run_process(name: str, command: Sequence[str], *, folder: pathlib.Path, memory: bool = True) -> Finished:
    """Run a process to its end.

    Args:
        name: Whose it is, for the message of a failure.
        command: The program and its arguments.
        folder: Its working directory, which also gets its temporary files, its cache and its output.
        memory: Whether its descendants' memory is looked at; else `peak_bytes` is that of the process alone.

    Raises:
        ContenderError: It failed; the message ends with the last lines of its output.
    """
    output = folder / "output.txt"
    with output.open("wb") as stream:
        started, begun = time.time(), time.perf_counter()
        process = subprocess.Popen(
            command, env=environment(folder), cwd=folder, stdout=stream, stderr=subprocess.STDOUT
        )
        try:
            with _watching(process.pid) if memory else contextlib.nullcontext([0]) as peaks:
                # Waited for by hand: the system then says what it used. (`Popen.wait` with a limit would poll.)
                _, status, usage = os.wait4(process.pid, 0)
                seconds = time.perf_counter() - begun
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if process.returncode is None:
                _end_family(process.pid)
    if process.returncode:
        raise ContenderError(
            f"{name} must end with exit code 0. It ended with {process.returncode}:\n{last_lines(output)}"
        )
    return Finished(
        started=started,
        seconds=seconds,
        processor_seconds=usage.ru_utime + usage.ru_stime,
        peak_bytes=max(*peaks, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)),
    )


def last_lines(output: pathlib.Path) -> str:
    """The end of what a process has said, where the reason of its failure stands."""
    return "\n".join(output.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


def environment(folder: pathlib.Path) -> dict[str, str]:
    """Quiet, importable from a checkout, with an empty cache (no repeat profits from the one before), files together.

    They are kept until all are done: ext4 makes new files more slowly for minutes after many were deleted.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**os.environ, **quiet, "PYTHONPATH": path, "XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder)}


@contextlib.contextmanager
def _watching(pid: int) -> Iterator[list[int]]:
    """The memory of a process and its descendants, in bytes, looked at by a thread while the block runs.

    Memory that several processes share counts once: it is the sum of their proportional set sizes where the system
    knows these (Linux), else of their resident sets. Peaks between two looks are missed, but for the process's own.
    """
    peaks, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLING_SECONDS):
            peaks.append(_tree_bytes(pid))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        over.set()
        thread.join()


def _tree_bytes(pid: int) -> int:
    total = 0
    for member in _family(pid):
        # Whoever ended meanwhile holds nothing.
        with contextlib.suppress(_psutil().Error):
            memory = member.memory_full_info()
            total += getattr(memory, "pss", 0) or memory.rss
    return total


def _end_family(pid: int) -> None:
    """End a contender with the workers that it started, which would go on and disturb the next one."""
    for member in reversed(_family(pid)):
        with contextlib.suppress(_psutil().Error):
            member.kill()
            member.wait()


def _family(pid: int) -> list[Any]:
    with contextlib.suppress(_psutil().Error):
        root = _psutil().Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def _psutil() -> Any:
    import psutil  # of the group `bench`; the command line answers without it

    return psutil
