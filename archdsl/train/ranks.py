"""Which of several processes this is that train one network together, and how many there are."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep

from archdsl.language.diagnostics import SpecError

__all__ = ["in_turn", "leads", "local_rank", "nodes", "processes", "rank"]

# torchrun's, then SLURM's where it started several tasks; Lightning sets the former for processes that it starts itself
_RANK = ("RANK", "SLURM_PROCID", "LOCAL_RANK")
_LOCAL_RANK = ("LOCAL_RANK", "SLURM_LOCALID")
_PROCESSES = ("WORLD_SIZE", "SLURM_NTASKS")
_TURN = 15.0  # seconds: on a busy machine the launcher takes its time to end the others


def rank() -> int:
    """The number of this process, counted from 0 over all machines."""
    return _number(_RANK, 0)


def local_rank() -> int:
    """The number of this process, counted from 0 on its machine: that of its GPU."""
    return _number(_LOCAL_RANK, 0)


def processes(devices: int) -> int:
    """All processes, on all machines. devices: how many are to be started where nobody has started them yet."""
    return _number(_PROCESSES, devices)


def nodes() -> int:
    """Machines."""
    local = _number(("LOCAL_WORLD_SIZE",), 0)
    return max(1, processes(1) // local) if local else _number(("SLURM_NNODES",), 1)


def leads() -> bool:
    """Whether this process writes the run and speaks to the user: one does."""
    return rank() == 0


@contextmanager
def in_turn() -> Iterator[None]:
    """Have the first process tell the mistakes that all have found: the others wait, and its end is usually theirs."""
    try:
        yield
    except SpecError:
        if not leads():
            sleep(_TURN)
        raise


def _number(names: tuple[str, ...], otherwise: int) -> int:
    return next((int(os.environ[name]) for name in names if os.environ.get(name, "").isdecimal()), otherwise)
