"""Errors of the machine, in words: a full disk, too many open files, memory that ran out."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from realism.base.batching import is_out_of_memory
from realism.base.errors import RealismError

GOES_ON = "then the same command goes on"
FULL = (errno.ENOSPC, errno.EDQUOT)
STARVED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
LEFT = 2**16
"""A disk with fewer bytes than this is full, whatever a library made of it: NumPy, torch and FAISS each say it in their
own way."""


class MachineError(RealismError):
    """The machine, not the recipe, is at fault: the run goes on once it is put right."""


def is_machine_error(error: BaseException) -> bool:
    """Whether an error says nothing about the file itself, as too many files are open or access is denied."""
    return isinstance(error, OSError) and error.errno in (*STARVED, *REFUSED)


def machine_error(error: BaseException, folder: Path) -> MachineError | None:
    """An error that a run met as one of the machine, with what to do; None if it is none. folder: the run's."""
    number = error.errno if isinstance(error, OSError) else None
    place = error.filename if isinstance(error, OSError) and error.filename else folder
    if not (folder / ".lock").exists():  # which is held as long as a run is at work
        return MachineError(f"the folder '{folder}' was removed while the run was at work; run again to begin anew")
    if number in FULL or (number is None and not isinstance(error, RealismError) and _is_full(folder)):
        reason = "the quota is used up" if number == errno.EDQUOT else "the disk is full"
        return MachineError(f"'{place}' cannot be written, as {reason}: make room there, {GOES_ON}")
    if number in (errno.EMFILE, errno.ENFILE):
        return MachineError(f"too many files are open at once: raise the limit, as in 'ulimit -n 8192', {GOES_ON}")
    if number == errno.ENOMEM or is_out_of_memory(error):
        return MachineError(f"memory ran out: take a smaller batch, size or shard, or another device, {GOES_ON}")
    if number in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST):
        place = Path(getattr(error, "filename2", None) or place)
        if place == folder or not place.is_relative_to(folder):
            return None  # whatever a part wanted there
        return MachineError(f"'{place}' cannot be written: remove the folder '{place}', which is in its way, {GOES_ON}")
    if number in REFUSED and Path(place).is_relative_to(folder):
        why = "its disk is read-only" if number == errno.EROFS else "this user may not"
        return MachineError(f"'{place}' cannot be written, as {why}: change that, {GOES_ON}")
    return None


def _is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < LEFT
