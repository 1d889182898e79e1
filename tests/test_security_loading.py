"""No file of a model has code run, whatever the libraries would do with it: each way in is tried, and says why not.

Each test plants code that would write a file `ran`; a terminal would answer yes.
"""

from __future__ import annotations

import ast
import builtins
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import examples
import pytest
import torch
from realism import Prompt, RealismError, Request
from realism.base.loading import load_model, load_without_weights, model_type, read_tensors
from realism_generators.chat import TransformersChat
from realism_generators.emu3 import Emu3
from realism_generators.flux import Flux
from realism_generators.qwen import QwenImageEdit
from realism_generators.stable_diffusion import StableDiffusion
from realism_retrievers.openclip import OpenClip
from realism_rewards.aesthetic import Aesthetic
from realism_rewards.hps import HpsV2
from realism_rewards.imagereward import ImageReward
from realism_rewards.pickscore import PickScore
from realism_rewards.vqa import Vqa

OWN_CODE = "brings Python code of its own, which is not run"
NO_WEIGHTS = "cannot be loaded|holds more than weights"


@pytest.fixture(autouse=True)
def ran(tmp_path, monkeypatch):
    """The file that would tell of code that ran; a terminal says yes to every question."""
    monkeypatch.setattr(builtins, "input", lambda *_: "y")
    for library in ("transformers.dynamic_module_utils", "diffusers.utils.dynamic_modules_utils"):
        monkeypatch.setattr(f"{library}.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "ran"
    yield marker
    assert not marker.exists(), "code of the model ran"


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


def pickscore():
    return examples.preference("pickscore_folder")


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


def test_the_planted_code_does_run_where_it_is_trusted(tmp_path, ran):
    from transformers import AutoConfig

    plant_code(tmp_path, ran)
    change(tmp_path / "config.json", model_type="evil", auto_map=AUTO)
    with pytest.raises(Exception):  # noqa: B017 - the class is no configuration
        AutoConfig.from_pretrained(str(tmp_path), trust_remote_code=True)
    assert ran.exists()
    ran.unlink()


# transformers: auto_map of each file


@pytest.mark.parametrize(
    ("kind", "file", "told"),
    [
        ("AutoConfig", "config.json", {"model_type": "evil"}),
        ("AutoModel", "config.json", {"model_type": "evil"}),
        ("AutoTokenizer", "tokenizer_config.json", {"tokenizer_class": "EvilTokenizer"}),
        ("AutoProcessor", "processor_config.json", {"processor_class": "EvilProcessor"}),
        ("AutoProcessor", "preprocessor_config.json", {"processor_class": "EvilProcessor"}),
        ("AutoImageProcessor", "preprocessor_config.json", {"image_processor_type": "EvilImageProcessor"}),
        ("AutoFeatureExtractor", "preprocessor_config.json", {"feature_extractor_type": "EvilProcessor"}),
        ("AutoVideoProcessor", "video_preprocessor_config.json", {"video_processor_type": "EvilProcessor"}),
    ],
)
def test_auto_map_is_not_followed(tmp_path, ran, kind, file, told):
    import transformers

    folder = tmp_path / "model"
    folder.mkdir()
    plant_code(folder, ran)
    change(folder / file, auto_map=AUTO, **told)
    load = load_model if kind == "AutoModel" else load_without_weights
    with pytest.raises(RealismError, match=OWN_CODE):
        load(getattr(transformers, kind), folder)


@pytest.mark.parametrize("file", ["tokenizer_config.json", "processor_config.json", "preprocessor_config.json"])
@pytest.mark.parametrize(
    ("make", "kind", "folder"),
    [
        (lambda f: cpu(Emu3, model=f, size=32), drawn, lambda: examples.pipeline("emu3")),
        (
            lambda f: cpu(PickScore, model=f, processor=f),
            lambda p: p._loaded,
            lambda: examples.preference("pickscore_folder"),
        ),
        (lambda f: cpu(Vqa, model=f, embedder="none"), lambda p: p.answerer, lambda: examples.asked("blip")),
        (lambda f: cpu(TransformersChat, model=f), lambda p: p.loaded, examples.llava),
    ],
    ids=["emu3", "pickscore", "vqa", "chat"],
)
def test_a_part_runs_no_code_of_its_reader(tmp_path, ran, make, kind, folder, file):
    model = copied(folder(), tmp_path)
    plant_code(model, ran)
    named = {"tokenizer_class": "EvilTokenizer", "processor_class": "EvilProcessor"}
    change(model / file, auto_map=AUTO, image_processor_type="EvilImageProcessor", **named)
    try:
        kind(make(str(model)))
    except RealismError as error:
        assert "code" in str(error) or "cannot be loaded" in str(error)  # where a class of the library does not serve


def test_a_type_that_only_the_models_code_knows_is_refused_before_it_is_loaded(tmp_path, ran):
    model = copied(examples.chat(), tmp_path)
    plant_code(model, ran)
    change(model / "config.json", model_type="evil", auto_map=AUTO)
    assert model_type(model) == "evil"
    for part in (cpu(TransformersChat, model=str(model)), cpu(Vqa, model=str(model), embedder="none")):
        with pytest.raises(RealismError, match=r"of type 'evil'.* code that comes with a model is not run"):
            _ = part.loaded if isinstance(part, TransformersChat) else part.answerer


def test_the_code_of_a_tokenizer_of_a_reward_is_not_run(tmp_path, ran):
    folder = copied(examples.preference("imagereward_folder"), tmp_path)
    plant_code(folder, ran)
    change(folder / "tokenizer_config.json", auto_map=AUTO, tokenizer_class="EvilTokenizer")
    (folder / "config.json").unlink(missing_ok=True)
    with pytest.raises(RealismError, match=OWN_CODE):
        _ = cpu(ImageReward, weights=str(folder), tokenizer=str(folder))._loaded


# transformers: weights


def test_an_adapter_beside_a_model_is_not_loaded_with_it(tmp_path, ran):
    model = copied(examples.chat(), tmp_path)
    change(model / "adapter_config.json", peft_type="LORA", base_model_name_or_path=str(model), r=2, target_modules=[])
    plant_pickle(model / "adapter_model.bin", ran)
    with pytest.raises(RealismError, match="has an adapter of peft beside it"):
        _ = cpu(TransformersChat, model=str(model)).loaded


@pytest.mark.parametrize(
    "file", ["evil.bin", "../outside.safetensors", "/tmp/outside.safetensors", "sub/in.safetensors"]
)
def test_an_index_of_weights_names_only_safetensors_beside_it(tmp_path, ran, file):
    model = copied(examples.chat(), tmp_path)
    (model / "model.safetensors").rename(tmp_path / "outside.safetensors")
    plant_pickle(model / "evil.bin", ran)
    weights = {"weight_map": {"lm_head.weight": file}, "metadata": {}}
    change(model / "model.safetensors.index.json", **weights)
    with pytest.raises(RealismError, match=f"names '{file}'; only .safetensors that lie beside it"):
        _ = cpu(TransformersChat, model=str(model)).loaded


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "experts_implementation"])
@pytest.mark.parametrize("value", ["owner/kernel", {"": "owner/kernel"}])
def test_compiled_code_of_the_hub_is_not_asked_for(tmp_path, key, value):
    model = copied(examples.chat(), tmp_path)
    change(model / "config.json", text_config={key: value})
    with pytest.raises(RealismError, match="compiled code 'owner/kernel' of the hub"):
        _ = cpu(TransformersChat, model=str(model)).loaded


# pickles, however they are named


PLACES = {
    "a chat model": (examples.chat, "model.safetensors", lambda f: cpu(TransformersChat, model=f).loaded),
    "a model that answers": (
        lambda: examples.asked("blip"), "model.safetensors", lambda f: cpu(Vqa, model=f, embedder="none").answerer,
    ),
    "emu3": (lambda: examples.pipeline("emu3"), "model.safetensors", lambda f: cpu(Emu3, model=f).pipeline),
    "a transformer of diffusers": (
        examples.flux, "transformer/diffusion_pytorch_model.safetensors", lambda f: cpu(Flux, model=f).pipeline,
    ),
    "a text encoder of diffusers": (
        examples.flux, "text_encoder_2/model.safetensors", lambda f: cpu(Flux, model=f).pipeline,
    ),
    "openclip": (examples.clip, "open_clip_model.safetensors", lambda f: cpu(OpenClip, model=f)._loaded),
    "a head": (
        lambda: examples.preference("aesthetic_head"), "head.safetensors",
        lambda f: Aesthetic(cpu(OpenClip, model=examples.clip()), head=f)._layers,
    ),
    "pickscore": (
        lambda: examples.preference("pickscore_folder"), "model.safetensors",
        lambda f: cpu(PickScore, model=f, processor=f)._loaded,
    ),
}  # fmt: skip


@pytest.mark.parametrize("linked", [False, True], ids=["in its place", "behind a link"])
@pytest.mark.parametrize("place", PLACES)
def test_a_pickle_with_the_name_of_safetensors_is_not_unpickled(tmp_path, ran, place, linked):
    folder, file, load = PLACES[place]
    model = copied(folder(), tmp_path)
    if linked:
        plant_pickle(tmp_path / "evil.bin", ran)
        (model / file).unlink()
        (model / file).symlink_to(tmp_path / "evil.bin")
    else:
        plant_pickle(model / file, ran)
    with pytest.raises(RealismError, match=NO_WEIGHTS):
        load(str(model))


@pytest.mark.parametrize("name", ["head.pt", "head.pth", "head.bin", "head.safetensors", "head"])
@pytest.mark.parametrize("how", ["pickle", "torch", "script"])
def test_a_file_of_weights_is_not_unpickled(tmp_path, ran, name, how):
    file = tmp_path / name
    if how == "pickle":
        file.write_bytes(pickle.dumps(Evil(ran)))
    elif how == "torch":
        plant_pickle(file, ran)
    else:
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(file))
    with pytest.raises(RealismError, match=NO_WEIGHTS):
        read_tensors(file)
    with pytest.raises(RealismError, match=NO_WEIGHTS):
        _ = Aesthetic(cpu(OpenClip, model=examples.clip()), head=str(file))._layers


def test_weights_of_a_reward_are_not_unpickled(tmp_path, ran):
    folder = copied(examples.preference("hps_folder"), tmp_path)
    plant_pickle(next(folder.glob("HPS*")), ran)
    with pytest.raises(RealismError, match="holds more than weights"):
        _ = cpu(HpsV2, weights=str(folder), architecture=str(folder))._loaded


# OpenCLIP


def openclip_config(folder: Path, tower: str, **values) -> None:
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"][tower] |= values
    (folder / "open_clip_config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("beside", ["open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth"])
def test_openclip_does_not_read_a_pickle_beside_other_safetensors(tmp_path, ran, beside):
    model = copied(examples.clip(), tmp_path)
    (model / "open_clip_model.safetensors").rename(model / "junk.safetensors")
    plant_pickle(model / beside, ran)
    with pytest.raises(RealismError, match=f"OpenCLIP might read {beside}"):
        _ = cpu(OpenClip, model=str(model))._loaded
    assert "which could run code" in OpenClip(model=str(model)).options_error()


def test_openclips_tokenizer_is_not_loaded_with_options_of_the_model(tmp_path, ran):
    model = copied(examples.clip(), tmp_path)
    plant_code(model, ran)
    openclip_config(model, "text_cfg", hf_tokenizer_name="x", tokenizer_kwargs={"trust_remote_code": True})
    change(model / "tokenizer_config.json", tokenizer_class="EvilTokenizer", auto_map=AUTO)
    with pytest.raises(RealismError, match="asks for 'trust_remote_code', which is not passed on"):
        _ = cpu(OpenClip, model=str(model))._loaded


@pytest.mark.parametrize("wrong", [{"clean": 5}, {"language": 5}, {}], ids=["clean", "language", "none"])
def test_openclips_tokenizer_is_never_loaded_again_with_more_trust(tmp_path, ran, wrong, monkeypatch):
    import transformers

    model = copied(examples.clip(), tmp_path)
    plant_code(model, ran)
    openclip_config(model, "text_cfg", hf_tokenizer_name="x", tokenizer_kwargs=wrong)
    change(model / "tokenizer_config.json", tokenizer_class="EvilTokenizer", auto_map=AUTO)
    asked, plain = [], transformers.AutoTokenizer.from_pretrained

    def once_a_type_error(*args, **options):
        asked.append(options.get("trust_remote_code"))
        if len(asked) == 1:
            raise TypeError("first")
        return plain(*args, **options)

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", once_a_type_error)
    with pytest.raises(RealismError):
        _ = cpu(OpenClip, model=str(model))._loaded
    assert set(asked) <= {False}


def test_openclips_text_tower_is_no_model_with_code(tmp_path, ran):
    model = copied(examples.clip(), tmp_path)
    (tmp_path / "tower").mkdir()
    plant_code(tmp_path / "tower", ran)
    change(tmp_path / "tower" / "config.json", model_type="evil", auto_map=AUTO)
    openclip_config(model, "text_cfg", hf_model_name="tower")
    with pytest.raises(RealismError, match=OWN_CODE):
        _ = cpu(OpenClip, model=str(model))._loaded


@pytest.mark.parametrize("name", ["/tmp/tower", "../tower", "local-dir:/tmp/tower", "hf-hub:owner/tower", 5])
@pytest.mark.parametrize(
    ("tower", "key"),
    [("text_cfg", "hf_model_name"), ("text_cfg", "hf_tokenizer_name"), ("vision_cfg", "timm_model_name")],
)
def test_openclips_configuration_names_nothing_that_lies_elsewhere(tmp_path, tower, key, name):
    model = copied(examples.clip(), tmp_path)
    openclip_config(model, tower, **{key: name})
    assert f"{tower}.{key} is '{name}'; expected a plain name" in OpenClip(model=str(model)).options_error()
    with pytest.raises(RealismError, match="expected a plain name"):
        _ = cpu(OpenClip, model=str(model))._loaded
    folder = Path(shutil.copytree(examples.preference("hps_folder"), tmp_path / "hps"))
    openclip_config(folder, tower, **{key: name})
    with pytest.raises(RealismError, match="expected a plain name"):
        _ = cpu(HpsV2, weights=str(folder), architecture=str(folder))._loaded


# diffusers


def index(folder: Path, **lines) -> None:
    change(folder / "model_index.json", **lines)


@pytest.mark.parametrize("name", ["evil.py", "pipeline.py", "None.py", "FluxPipeline.py"])
def test_code_beside_a_pipeline_is_not_run(tmp_path, ran, name):
    model = copied(examples.flux(), tmp_path)
    plant_code(model, ran, name.removesuffix(".py"))
    assert drawn(cpu(Flux, model=str(model), steps=1))


def test_a_pipeline_class_of_its_own_is_refused(tmp_path, ran):
    model = copied(examples.flux(), tmp_path)
    plant_code(model, ran)
    index(model, _class_name=["evil", "EvilPipeline"])
    with pytest.raises(RealismError, match="expected FluxPipeline"):
        drawn(cpu(Flux, model=str(model)))


@pytest.mark.parametrize(
    "line",
    [
        ["evil", "EvilModel"],
        ["os", "system"],
        ["realism_garden.reader", "Reader"],
        ["diffusers.utils", "load_image"],
        ["transformers", "AutoModel"],
        ["transformers", "AutoTokenizer"],
        ["transformers", "pipeline"],
        ["diffusers", "AutoModel"],
        ["diffusers", "DiffusionPipeline"],
        ["diffusers", "OnnxRuntimeModel"],
        ["onnxruntime.training", "ORTModule"],
    ],
    ids=str,
)
@pytest.mark.parametrize("part", ["transformer", "tokenizer"])
def test_a_component_that_is_none_of_the_libraries_is_refused(tmp_path, ran, part, line):
    model = copied(examples.flux(), tmp_path)
    for name in ("evil", "pipeline", "modeling_evil"):
        plant_code(model / part, ran, name)
    change(model / part / "config.json", auto_map=AUTO, model_type="evil")
    index(model, **{part: line})
    with pytest.raises(RealismError, match=f"component '{part}' of .* is a {line[1]} of '{line[0]}'.* is not run"):
        drawn(cpu(Flux, model=str(model)))


@pytest.mark.parametrize("part", ["text_encoder_2", "tokenizer_2", "transformer", "vae", "scheduler"])
def test_auto_map_in_a_component_is_not_followed(tmp_path, ran, part):
    model = copied(examples.flux(), tmp_path)
    plant_code(model / part, ran)
    for file in (model / part).glob("*config.json"):
        change(file, auto_map=AUTO)
    assert drawn(cpu(Flux, model=str(model), steps=1))  # by the classes of the libraries


@pytest.mark.parametrize(
    "file", ["tokenizer_config.json", "preprocessor_config.json", "video_preprocessor_config.json"]
)
def test_a_processor_in_a_pipeline_runs_no_code_of_its_pieces(tmp_path, ran, file):
    model = copied(examples.pipeline("qwen_edit"), tmp_path)
    plant_code(model / "processor", ran)
    named = {"tokenizer_class": "EvilTokenizer", "image_processor_type": "EvilImageProcessor"}
    change(model / "processor" / file, auto_map=AUTO, video_processor_type="EvilProcessor", **named)
    try:
        _ = cpu(QwenImageEdit, model=str(model)).pipeline
    except RealismError as error:
        assert OWN_CODE in str(error) or "cannot be loaded" in str(error)


def test_an_index_of_diffusers_names_only_safetensors_beside_it(tmp_path, ran):
    model = copied(examples.flux(), tmp_path)
    (model / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    plant_pickle(model / "transformer" / "evil.bin", ran)
    change(
        model / "transformer" / "diffusion_pytorch_model.safetensors.index.json",
        weight_map={"x_embedder.weight": "evil.bin"}, metadata={},
    )  # fmt: skip
    (model / "transformer" / "x.safetensors").write_bytes(b"")
    with pytest.raises(RealismError, match=r"component 'transformer' of .* names 'evil.bin'; only .safetensors"):
        drawn(cpu(Flux, model=str(model)))


def test_an_adapter_of_references_is_not_unpickled(tmp_path, ran):
    options = examples.adapter("stable_diffusion")
    folder = copied(options["adapter"], tmp_path)
    plant_pickle(folder / options["adapter_weights"], ran)
    given = options | {"adapter": str(folder), "model": examples.pipeline("stable_diffusion")}
    with pytest.raises(RealismError, match=NO_WEIGHTS):
        _ = cpu(StableDiffusion, **given).pipeline


@pytest.mark.parametrize("beside", ["pytorch_lora_weights.bin", "adapter_model.bin"])
def test_what_was_learnt_is_not_unpickled(tmp_path, ran, beside):
    generator = cpu(StableDiffusion, model=examples.pipeline("stable_diffusion"))
    (tmp_path / "trained").mkdir()
    plant_pickle(tmp_path / "trained" / "pytorch_lora_weights.safetensors", ran)
    plant_pickle(tmp_path / "trained" / beside, ran)
    generator.use_weights(tmp_path / "trained")
    with pytest.raises(RealismError, match=NO_WEIGHTS):
        _ = generator.pipeline


def test_a_projection_that_was_learnt_is_not_unpickled(tmp_path, ran):
    from realism_realrag.projected import Projected

    plant_pickle(tmp_path / "projection.safetensors", ran)
    part = Projected(cpu(OpenClip, model=examples.clip()), width=8)
    part.use_weights(tmp_path)
    with pytest.raises(RealismError, match=NO_WEIGHTS):
        part.mlp()


# the hub


@pytest.mark.slow
def test_models_of_the_hub_pass_the_same_door(tmp_path, ran):
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
    index(place["flux"], vae=["evil", "EvilModel"])
    plant_code(place["flux"] / "vae", ran)
    (place["clip"] / "open_clip_model.safetensors").unlink()
    plant_pickle(place["clip"] / "open_clip_pytorch_model.bin", ran)
    plant_pickle(place["adapter"] / adapter["adapter_weights"], ran)
    said = loaded()
    assert "has an adapter of peft beside it" in said["chat"]
    assert "component 'vae' of model 'o/flux' is a EvilModel of 'evil'" in said["flux"]
    assert "open_clip_pytorch_model.bin holds more than weights" in said["openclip"]
    assert "cannot be loaded" in said["sd"]


# the one way in that a recipe can open


def test_emu2_says_loudly_that_it_runs_code(caplog):
    generator = examples_emu2()
    with caplog.at_level("WARNING", "realism"):
        drawn(generator)
    assert "runs the Python code that came with" in caplog.text and generator.model in caplog.text


def examples_emu2():
    from realism_generators.emu2 import Emu2

    return Emu2(**examples.options("emu2"))


# no other way in


ROOT = Path(__file__).parent.parent
DOOR = ("core/realism/base/loading.py", "core/realism/base/openclip.py")
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


def test_only_the_door_loads_models():
    for file in sorted(ROOT.glob("*/**/*.py")):
        path = file.relative_to(ROOT).as_posix()
        shipped = path.startswith(("core/", "generators/", "retrievers/", "rewards/", "plugins/"))
        if not shipped or "/tests/" in path or "/build/" in path or path in (*DOOR, *TRUSTED):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and (called := opened(node.func)):
                if path == "core/realism/testing/part.py" and called == "pickle.loads":
                    continue  # of what it pickled itself
                pytest.fail(f"{path}:{node.lineno} calls {called}; models are loaded by {DOOR[0]}")


def opened(called: ast.expr) -> str:
    """The name of a call that loads a model, else ""."""
    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    of = called.value if isinstance(called, ast.Attribute) else None
    owner = of.attr if isinstance(of, ast.Attribute) else of.id if isinstance(of, ast.Name) else ""
    if (owner, name) in MODULES:
        return f"{owner}.{name}"
    return name if name in OPENS and owner != "self" else ""


def test_the_door_leaves_the_libraries_as_they_were():
    from diffusers.utils import dynamic_modules_utils as of_diffusers
    from transformers import dynamic_module_utils as of_transformers

    before = (of_transformers.get_class_in_module, of_transformers.TIME_OUT_REMOTE_CODE)
    also = of_diffusers.get_class_in_module
    with pytest.raises(RealismError):
        load_without_weights(Flux, Path("nothing"))
    assert before == (of_transformers.get_class_in_module, of_transformers.TIME_OUT_REMOTE_CODE)
    assert also is of_diffusers.get_class_in_module
