"""Named pipes, as a user may leave them where files are looked for."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def pipe(path: Path) -> Path:
    """A named pipe. Whoever opens it is let go with nothing after a moment, so that a test fails and does not hang."""
    os.mkfifo(path)
    threading.Thread(target=lambda: path.open("wb").close(), daemon=True).start()
    return path
