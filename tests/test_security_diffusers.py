"""Pipelines of diffusers run no code, and have only components of the libraries."""

from __future__ import annotations

import examples
import pytest
from planted import AUTO, OWN_CODE, change, copied, cpu, drawn, plant_code, plant_pickle
from realism import RealismError
from realism_generators.flux import Flux
from realism_generators.qwen import QwenImageEdit

pytestmark = pytest.mark.usefixtures("ran")


@pytest.mark.parametrize("name", ["evil.py", "pipeline.py", "None.py", "FluxPipeline.py"])
def test_code_beside_a_pipeline_is_not_run(tmp_path, ran, name):
    model = copied(examples.flux(), tmp_path)
    plant_code(model, ran, name.removesuffix(".py"))
    assert drawn(cpu(Flux, model=str(model), steps=1))


def test_a_pipeline_class_of_its_own_is_refused(tmp_path, ran):
    model = copied(examples.flux(), tmp_path)
    plant_code(model, ran)
    change(model / "model_index.json", _class_name=["evil", "EvilPipeline"])
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
    change(model / "model_index.json", **{part: line})
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
