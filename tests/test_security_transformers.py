"""Models of transformers run no code of theirs, load no adapter, and read only safetensors beside them."""

from __future__ import annotations

import examples
import pytest
from planted import AUTO, OWN_CODE, change, copied, cpu, drawn, plant_code, plant_pickle
from realism import RealismError
from realism.base.loading import load_model, load_without_weights, model_type
from realism_generators.chat import TransformersChat
from realism_generators.emu3 import Emu3
from realism_rewards.imagereward import ImageReward
from realism_rewards.pickscore import PickScore
from realism_rewards.vqa import Vqa

pytestmark = pytest.mark.usefixtures("ran")


def test_the_planted_code_does_run_where_it_is_trusted(tmp_path, ran):
    from transformers import AutoConfig

    plant_code(tmp_path, ran)
    change(tmp_path / "config.json", model_type="evil", auto_map=AUTO)
    with pytest.raises(Exception):  # noqa: B017 - the class is no configuration
        AutoConfig.from_pretrained(str(tmp_path), trust_remote_code=True)
    assert ran.exists()
    ran.unlink()


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
