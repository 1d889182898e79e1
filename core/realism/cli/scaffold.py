"""`realism new-plugin`: a plugin that installs, passes its suite, and is listed."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shlex
from pathlib import Path

from realism.base.errors import RealismError
from realism.base.files import write_text
from realism.plugins.manager import plugins
from realism.plugins.registry import PART_FAMILIES, a_part
from realism.run.progress import View

PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "realism-{dashed}"
version = "0.1.0"
description = "A reward for Realism."
requires-python = ">=3.11"
dependencies = ["realism"]

[project.entry-points.realism]
{name} = "realism_{name}"
"""

MODULE = '''\
"""The reward `{name}` for Realism."""

from dataclasses import dataclass

from realism import Reward, Scores, hook


@dataclass
class {cls}(Reward):
    """Mean brightness of the grey image, 0 (black) to 1 (white). Put your own reward here."""

    size: int = 64
    """Images are resized to so many pixels first."""

    range = (0.0, 1.0)

    def score(self, pictures):
        import numpy as np
        import torch

        grey = [np.asarray(picture.image.convert("L").resize((self.size, self.size))) for picture in pictures]
        return Scores(torch.tensor([float(pixels.mean()) / 255 for pixels in grey]))


@hook
def realism_register(registry):
    registry.reward("{name}", "realism_{name}:{cls}")
'''

TEST = '''\
"""The contract that Realism holds every reward to."""

import pytest
from realism.testing import RewardSuite
from realism_{name} import {cls}


class Test{cls}(RewardSuite):
    @pytest.fixture
    def part(self):
        return {cls}()
'''

README = """\
# realism-{dashed}

    pip install .
    realism parts {name}
    pytest test_{name}.py

In a recipe: `- score: {{rewards: [{name}]}}`.
"""


def write_plugin(name: str, folder: Path) -> None:
    """Write a plugin's folder. Raises RealismError if the name cannot be one or the folder is there already."""
    module = name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", module) or keyword.iskeyword(module) or len(module) > 40:
        raise RealismError(
            f"'{name}' is no name for a plugin: lower-case letters and digits, '-' between words, a letter first; "
            "such as 'sharpness'"
        )
    if taken := plugins().registry.find(module, *PART_FAMILIES, "step"):
        raise RealismError(
            f"'{name}' is taken by plugin '{taken.plugin}' ({a_part(taken.family)}); choose another name"
        )
    if module in {p.name for p in plugins().plugins} or importlib.util.find_spec(f"realism_{module}"):
        raise RealismError(f"'{name}' is taken by an installed plugin; choose another name")
    target = folder / f"realism-{module.replace('_', '-')}"
    if target.exists():
        raise RealismError(f"'{target}' is there already; choose another name, or --folder")
    cls = "".join(word.capitalize() for word in module.split("_"))
    values = {"name": module, "dashed": module.replace("_", "-"), "cls": cls}
    files = {
        "pyproject.toml": PYPROJECT,
        f"realism_{module}.py": MODULE,
        f"test_{module}.py": TEST,
        "README.md": README,
    }
    try:
        target.mkdir(parents=True)
    except OSError as error:
        raise RealismError(f"'{target}' cannot be made: {error.strerror}") from None
    for file, text in files.items():
        write_text(target / file, text.format(**values))
    place = shlex.quote(str(target))
    View().say(f"wrote {target}\nnext: pip install -e {place} && realism parts {module} && pytest {place}")
