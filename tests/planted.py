"""Code and pickles planted beside models, which must not run: they would write a file `ran`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from realism import Prompt, Request

OWN_CODE = "brings Python code of its own, which is not run"
NO_WEIGHTS = "cannot be loaded|holds more than weights"


class Evil:
    """What writes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return open, (self.marker, "w")


def copied(folder, tmp_path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "model", symlinks=True))


def plant_code(folder: Path, ran: Path, name: str = "evil") -> None:
    """Python beside a model, with every class that its files could name."""
    kinds = ("Config", "Model", "Tokenizer", "Processor", "ImageProcessor", "Pipeline")
    classes = "".join(f"class Evil{kind}: pass\n" for kind in kinds)
    (folder / f"{name}.py").write_text(f"open({str(ran)!r}, 'w')\n{classes}")


def change(file: Path, **values) -> None:
    found = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(found | values))


def plant_pickle(file: Path, ran: Path) -> None:
    """A pickle, as torch saves it, in the place of a file."""
    file.unlink(missing_ok=True)
    torch.save({"weight": Evil(ran)}, file)


def drawn(generator):
    return generator.generate([Request(Prompt("1", "a rose"), 1)])


def cpu(kind, **options):
    return kind(**options, device="cpu")


AUTO = {
    "AutoConfig": "evil.EvilConfig",
    "AutoModel": "evil.EvilModel",
    "AutoModelForCausalLM": "evil.EvilModel",
    "AutoModelForImageTextToText": "evil.EvilModel",
    "AutoTokenizer": ["evil.EvilTokenizer", "evil.EvilTokenizer"],
    "AutoProcessor": "evil.EvilProcessor",
    "AutoImageProcessor": "evil.EvilImageProcessor",
    "AutoFeatureExtractor": "evil.EvilProcessor",
    "AutoVideoProcessor": "evil.EvilProcessor",
}
