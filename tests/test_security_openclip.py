"""Models of OpenCLIP run no code, and name nothing that lies elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import examples
import pytest
from planted import AUTO, OWN_CODE, change, copied, cpu, plant_code, plant_pickle
from realism import RealismError
from realism_retrievers.openclip import OpenClip
from realism_rewards.hps import HpsV2

pytestmark = pytest.mark.usefixtures("ran")


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
