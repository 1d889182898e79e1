"""OpenCLIP encoders and FAISS indexes."""

from __future__ import annotations

import json
import shutil

import examples
import numpy as np
import pytest
import tiny
import torch
from realism import RealismError
from realism.testing.material import pictures
from realism_retrievers.openclip import OpenClip


@pytest.fixture(scope="module")
def clip():
    return OpenClip(model=examples.clip(), device="cpu")


@pytest.fixture
def copied(tmp_path):
    return shutil.copytree(examples.clip(), tmp_path / "model")


def test_rows_are_those_of_plain_open_clip(clip):
    import open_clip

    name = f"local-dir:{examples.clip()}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    with torch.no_grad():
        images = model.eval().encode_image(torch.stack([preprocess(i) for i in pictures()]), normalize=True)
        texts = model.encode_text(open_clip.get_tokenizer(name)(["a red rose"]), normalize=True)
    assert np.abs(clip.encode_images(pictures()) - images.numpy()).max() < 1e-5
    assert np.abs(clip.encode_texts(["a red rose"]) - texts.numpy()).max() < 1e-5


def test_rows_are_the_same_at_any_batch_size_and_number_of_threads():
    images = [tiny.picture(i, (20 + i, 30)) for i in range(41)]
    one = OpenClip(model=examples.clip(), device="cpu", batch=1, workers=1).encode_images(images)
    many = OpenClip(model=examples.clip(), device="cpu", batch=16, workers=8).encode_images(images)
    assert one.shape == (41, 32) and np.abs(one - many).max() < 1e-5


def test_a_batch_too_large_for_the_memory_is_halved_and_no_row_is_lost(clip, monkeypatch):
    images = [tiny.picture(i) for i in range(41)]
    wanted = clip.encode_images(images)
    small = OpenClip(model=examples.clip(), device="cpu", batch=32)
    whole = small._loaded.model.encode_image

    def starving(batch):
        if len(batch) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(batch)

    monkeypatch.setattr(small._loaded.model, "encode_image", starving)
    assert np.abs(small.encode_images(images) - wanted).max() < 1e-5


def test_a_model_that_a_plugin_ships_or_a_prefixed_folder_is_found(clip):
    prefixed = OpenClip(model=f"local-dir:{examples.clip()}", device="cpu")
    assert prefixed.options_error() is None and prefixed.inputs() == clip.inputs() != []
    assert np.array_equal(prefixed.encode_texts(["sand"]), clip.encode_texts(["sand"]))


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda f: (f / "open_clip_config.json").unlink(), "it has no open_clip_config.json"),
        (lambda f: (f / "open_clip_config.json").write_text("[]"), "it has no object 'model_cfg'"),
        (lambda f: (f / "open_clip_model.safetensors").rename(f / "model.bin"), "has no weights as .safetensors"),
    ],
)
def test_a_folder_that_is_no_model_is_said_before_anything_runs(copied, harm, sentence):
    harm(copied)
    assert sentence in OpenClip(model=str(copied)).options_error()


def test_a_damaged_model_is_said_in_a_sentence(copied):
    (copied / "open_clip_model.safetensors").write_bytes(b"\0" * 50)
    with pytest.raises(RealismError, match="the folder is damaged"):
        OpenClip(model=str(copied)).encode_texts(["a"])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ViT-B-33/laion2b_s34b_b79k", "no OpenCLIP model 'ViT-B-33/laion2b_s34b_b79k'; did you mean 'ViT-B-32'"),
        ("ViT-B-32/laion2b", "ViT-B-32 has no weights 'laion2b'.*available:"),
        ("ViT-B-32", "ViT-B-32 has no weights ''"),
    ],
)
def test_a_wrong_name_is_said_with_what_there_is(name, sentence):
    with pytest.raises(RealismError, match=sentence):
        OpenClip(model=name).encode_texts(["a"])


def test_weights_are_refused_where_the_architecture_has_another_activation_than_they_were_trained_with():
    import open_clip
    from realism_retrievers.loading import load, model_error

    quick = {name: open_clip.get_model_config(name).get("quick_gelu", False) for name in open_clip.list_models()}
    wrong = {
        f"{name}/{tag}"
        for name, tag in open_clip.list_pretrained()
        if open_clip.get_pretrained_cfg(name, tag).get("quick_gelu", False) != quick[name]
    }
    wrong.remove("roberta-ViT-B-32/laion2b_s12b_b32k")  # there is no other, and it was trained as it is
    assert {"ViT-L-14/openai", "ViT-H-14/dfn5b", "ViT-B-16/metaclip_400m"} <= wrong
    for name, tag in open_clip.list_pretrained():
        error = model_error(f"{name}/{tag}")
        assert (error is not None) == (f"{name}/{tag}" in wrong), f"{name}/{tag}: {error}"
    for model in wrong:
        right = model.replace("/", "-quickgelu/")
        assert right in [f"{name}/{tag}" for name, tag in open_clip.list_pretrained()]
        with pytest.raises(RealismError, match=f"with GELU what was trained with QuickGELU.* use '{right}'"):
            load(model, "cpu", "float32")


def test_no_code_of_a_models_tokenizer_is_run(copied):
    config = json.loads((copied / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= {"hf_tokenizer_name": "x", "tokenizer_kwargs": {"trust_remote_code": True}}
    (copied / "open_clip_config.json").write_text(json.dumps(config))
    auto = {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", None]}}
    (copied / "tokenizer_config.json").write_text(json.dumps(auto))
    (copied / "config.json").write_text(json.dumps({"model_type": "clip"}))
    (copied / "evil.py").write_text(f"open({str(copied / 'ran')!r}, 'w')\nclass Evil: pass\n")
    with pytest.raises(RealismError):
        OpenClip(model=str(copied)).encode_texts(["a"])
    assert not (copied / "ran").exists()
