"""Models are loaded in one place, which runs no code of theirs, from folders and from the hub alike."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import examples
import pytest
from planted import change, drawn, plant_code, plant_pickle
from realism import RealismError
from realism.base.loading import load_without_weights
from realism_generators.flux import Flux

pytestmark = pytest.mark.usefixtures("ran")


@pytest.mark.slow
def test_models_of_the_hub_pass_the_same_checks(tmp_path, ran):
    adapter = examples.adapter("stable_diffusion")
    given = {
        "chat": examples.chat(), "flux": examples.flux(), "clip": examples.clip(),
        "sd": examples.pipeline("stable_diffusion"), "adapter": adapter["adapter"], "encoder": adapter["image_encoder"],
    }  # fmt: skip
    place = {name: tmp_path / "hub" / f"models--o--{name}" / "snapshots" / ("a" * 40) for name in given}
    for name, folder in given.items():
        shutil.copytree(folder, place[name])
        (place[name].parents[1] / "refs").mkdir()
        (place[name].parents[1] / "refs" / "main").write_text("a" * 40)

    def loaded() -> dict[str, str]:
        offline = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, str(Path(__file__).parent / "hub_models.py"), adapter["adapter_weights"]]
        made = subprocess.run(command, capture_output=True, text=True, env=offline, input="y\n" * 99, check=True)
        return dict(line.split(": ", 1) for line in made.stdout.splitlines())

    assert loaded() == dict.fromkeys(("chat", "flux", "openclip", "sd"), "loaded")
    change(place["chat"] / "adapter_config.json", peft_type="LORA", base_model_name_or_path="o/chat")
    change(place["flux"] / "model_index.json", vae=["evil", "EvilModel"])
    plant_code(place["flux"] / "vae", ran)
    (place["clip"] / "open_clip_model.safetensors").unlink()
    plant_pickle(place["clip"] / "open_clip_pytorch_model.bin", ran)
    plant_pickle(place["adapter"] / adapter["adapter_weights"], ran)
    said = loaded()
    assert "has an adapter of peft beside it" in said["chat"]
    assert "component 'vae' of model 'o/flux' is a EvilModel of 'evil'" in said["flux"]
    assert "open_clip_pytorch_model.bin holds more than weights" in said["openclip"]
    assert "cannot be loaded" in said["sd"]


# code of a model that a recipe trusts


def test_emu2_says_loudly_that_it_runs_code(caplog):
    generator = examples_emu2()
    with caplog.at_level("WARNING", "realism"):
        drawn(generator)
    assert "runs the Python code that came with" in caplog.text and generator.model in caplog.text


def examples_emu2():
    from realism_generators.emu2 import Emu2

    return Emu2(**examples.options("emu2"))


# one place that loads


ROOT = Path(__file__).parent.parent
LOADERS = ("core/realism/base/loading.py", "core/realism/base/openclip.py")
TRUSTED = ("generators/realism_generators/emu2.py",)  # by trust_remote_code: true of a recipe
OPENS = {
    "from_pretrained", "from_single_file", "load_file", "safe_open", "create_model", "create_model_and_transforms",
    "create_model_from_pretrained", "get_tokenizer", "get_config_dict", "load_state_dict_from_url", "load_checkpoint",
    "load_lora_weights", "load_textual_inversion", "get_class_from_dynamic_module", "read_pickle", "torch_load",
    "load_from_checkpoint",
}  # fmt: skip
MODULES = {
    ("torch", "load"),
    ("jit", "load"),
    ("pickle", "load"),
    ("pickle", "loads"),
    ("joblib", "load"),
    ("hub", "load"),
    ("transformers", "pipeline"),
}


def test_only_one_place_loads_models():
    for file in sorted(ROOT.glob("*/**/*.py")):
        path = file.relative_to(ROOT).as_posix()
        shipped = path.startswith(("core/", "generators/", "retrievers/", "rewards/", "plugins/"))
        if not shipped or "/tests/" in path or "/build/" in path or path in (*LOADERS, *TRUSTED):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and (called := opened(node.func)):
                if path == "core/realism/testing/part.py" and called == "pickle.loads":
                    continue  # of what it pickled itself
                pytest.fail(f"{path}:{node.lineno} calls {called}; models are loaded by {LOADERS[0]}")


def opened(called: ast.expr) -> str:
    """The name of a call that loads a model, else ""."""
    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    of = called.value if isinstance(called, ast.Attribute) else None
    owner = of.attr if isinstance(of, ast.Attribute) else of.id if isinstance(of, ast.Name) else ""
    if (owner, name) in MODULES:
        return f"{owner}.{name}"
    return name if name in OPENS and owner != "self" else ""


def test_loading_leaves_the_libraries_as_they_were():
    from diffusers.utils import dynamic_modules_utils as of_diffusers
    from transformers import dynamic_module_utils as of_transformers

    before = (of_transformers.get_class_in_module, of_transformers.TIME_OUT_REMOTE_CODE)
    also = of_diffusers.get_class_in_module
    with pytest.raises(RealismError):
        load_without_weights(Flux, Path("nothing"))
    assert before == (of_transformers.get_class_in_module, of_transformers.TIME_OUT_REMOTE_CODE)
    assert also is of_diffusers.get_class_in_module
