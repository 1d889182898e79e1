"""`realism new-plugin`: a plugin that installs, passes its suite, and is listed."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shlex
from pathlib import Path

from jinja2 import Template

from realism.base.errors import RealismError
from realism.base.files import write_text
from realism.parts.base import FAMILIES, one_of
from realism.plugins.manager import plugins
from realism.runs.progress import View

TEMPLATES = Path(__file__).parent / "new_plugin"


def write_plugin(name: str, folder: Path) -> None:
    """Write a plugin's folder. Raises RealismError if the name cannot be one or the folder is there already."""
    module = name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", module) or keyword.iskeyword(module) or len(module) > 40:
        raise RealismError(
            f"'{name}' is no name for a plugin: lower-case letters and digits, '-' between words, a letter first; "
            "such as 'sharpness'"
        )
    if taken := plugins().registry.find(module, *FAMILIES):
        raise RealismError(
            f"'{name}' is taken by plugin '{taken.plugin}' ({one_of(taken.family)}); choose another name"
        )
    if module in {p.name for p in plugins().plugins} or importlib.util.find_spec(f"realism_{module}"):
        raise RealismError(f"'{name}' is taken by an installed plugin; choose another name")
    target = folder / f"realism-{module.replace('_', '-')}"
    if target.exists():
        raise RealismError(f"'{target}' is there already; choose another name, or --folder")
    cls = "".join(word.capitalize() for word in module.split("_"))
    values = {"name": module, "dashed": module.replace("_", "-"), "cls": cls}
    files = {"module.py": f"realism_{module}.py", "test.py": f"test_{module}.py"}
    try:
        target.mkdir(parents=True)
    except OSError as error:
        raise RealismError(f"'{target}' cannot be made: {error.strerror}") from None
    for template in TEMPLATES.glob("*.j2"):
        text = Template(template.read_text(encoding="utf-8"), keep_trailing_newline=True).render(values)
        write_text(target / files.get(template.stem, template.stem), text)
    place = shlex.quote(str(target))
    View().say(f"wrote {target}\nnext: pip install -e {place} && realism parts {module} && pytest {place}")
