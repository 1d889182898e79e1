"""Options for the registered parts that need some, so that each can be put through its family's suite.

A part that works with its defaults needs no line here. Models are tiny and random, of the real classes.
"""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import tiny
import tiny_adapters
import tiny_amused
import tiny_chat
import tiny_databases
import tiny_emu
import tiny_endpoint
import tiny_inception
import tiny_pipelines
import tiny_preference
import tiny_vqa
import toys
import toys_learning
from realism import Part

ENCODER = "encoder"


def named(part: Part, name: str) -> Part:
    """A part as a recipe calls it."""
    part.part_name = name
    return part


@functools.cache
def folder() -> Path:
    """A folder for this session's models and images."""
    made = tempfile.TemporaryDirectory(prefix="realism-examples-")
    _kept.append(made)
    return Path(made.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


@functools.cache
def flux() -> str:
    return str(tiny.flux_folder(folder() / "flux"))


@functools.cache
def kontext() -> str:
    return str(tiny.flux_folder(folder() / "kontext", kontext=True))


@functools.cache
def pipeline(kind: str) -> str:
    """The folder of the tiny model that `tiny_pipelines` or `tiny_emu` makes under that name."""
    make = getattr(tiny_emu if kind.startswith("emu") else tiny_pipelines, kind)
    return str(make(folder() / kind))


@functools.cache
def inception_weights() -> str:
    return str(tiny_inception.save(folder() / "inception.safetensors"))


@functools.cache
def amused() -> str:
    return str(tiny_amused.amused(folder() / "amused"))


@functools.cache
def adapter(kind: str) -> dict[str, str]:
    """A tiny IP-Adapter for that pipeline, and its encoder, as options."""
    made = tiny_adapters.adapter(kind, folder() / f"{kind}-adapter", pipeline(kind))
    encoder = pipeline("siglip_encoder" if kind == "stable_diffusion_3" else "clip_encoder")
    return {"adapter": str(made.parent), "adapter_weights": made.name, "image_encoder": encoder}


@functools.cache
def chat() -> str:
    """A chat model of text alone."""
    return str(tiny_chat.chat_folder(folder() / "chat"))


@functools.cache
def llava() -> str:
    """A chat model of images and text."""
    return str(tiny_chat.llava_folder(folder() / "llava"))


@functools.cache
def asked(kind: str) -> str:
    """The folder of a tiny model that answers questions: blip, blip2, blip2_decoder, llava or qwen; or sentence, which
    compares answers."""
    if kind == "llava":
        return llava()
    made = folder() / f"asked-{kind}"
    if kind == "blip2_decoder":
        return str(tiny_vqa.blip2_folder(made, decoder=True))
    return str(getattr(tiny_vqa, f"{kind}_folder")(made))


@functools.cache
def clip() -> str:
    return str(tiny.openclip_folder(folder() / "clip"))


@functools.cache
def preference(kind: str) -> str:
    """The folder of the tiny model that `tiny_preference` makes under that name."""
    return str(getattr(tiny_preference, kind)(folder() / kind))


@functools.cache
def vila_endpoint() -> str:
    return tiny_preference.vila_endpoint()


@functools.cache
def photos() -> str:
    return str(tiny.image_folder(folder() / "photos", ("subject 0", "subject 1")))


@functools.cache
def database(kind: str) -> str:
    """The folder of the tiny database that `tiny_databases` makes under that name."""
    return str(getattr(tiny_databases, kind)(folder() / f"database-{kind}"))


@functools.cache
def embeddings() -> str:
    """A folder as clip-retrieval writes it, with vectors of the photographs that mean nothing."""
    import numpy as np
    import pandas as pd

    made = folder() / "embeddings"
    paths = sorted(Path(photos()).rglob("*.png"))
    for inner in ("img_emb", "metadata"):
        (made / inner).mkdir(parents=True)
    np.save(made / "img_emb" / "img_emb_0.npy", np.eye(len(paths), dtype=np.float16))
    pd.DataFrame({"image_path": [str(path) for path in paths]}).to_parquet(made / "metadata" / "metadata_0.parquet")
    return str(made)


@functools.cache
def endpoint() -> str:
    """Where an endpoint runs, until the session ends."""
    return tiny_endpoint.serve().url


@functools.cache
def prompt_file() -> str:
    path = folder() / "prompts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("a rose", "sand")))
    return str(path)


@functools.cache
def benchmarks() -> str:
    """A folder with a small file in the form of each benchmark of faithfulness."""
    made = folder() / "benchmarks"
    made.mkdir()
    (made / "tifa_v1.0_text_inputs.json").write_text(json.dumps([{"id": "coco_1", "caption": "a rose"}]))
    head = "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple"
    row = "vrd_1,a rose,rose,1,0,entity,whole,entity - whole (rose),Is there a rose?"
    (made / "dsg-1k-anns.csv").write_text(f"{head},question_natural_language\n{row}\n")
    (made / "color_val.txt").write_text("a red rose\n")
    return str(made)


def openclip() -> dict[str, Any]:
    return {"use": "openclip", "model": clip(), "device": "cpu"}


def projected() -> dict[str, Any]:
    return {"use": "projected", ENCODER: openclip(), "width": 8}


def vqa() -> dict[str, Any]:
    return {"use": "vqa", "model": asked("blip"), "embedder": "none", "device": "cpu"}


def options(name: str) -> dict[str, Any]:
    """The options of the registered part of that name; none if it is not listed."""
    drawing = {"dtype": "float32", "device": "cpu", "steps": 2}
    table = {
        "flux": lambda: {"model": pipeline("flux"), **adapter("flux"), **drawing},
        "flux-kontext": lambda: {"model": kontext(), **drawing},
        "flux-redux": lambda: {"model": pipeline("flux"), "redux": pipeline("redux"), **drawing},
        "sd": lambda: {"model": pipeline("stable_diffusion"), **adapter("stable_diffusion"), **drawing},
        "sdxl": lambda: {"model": pipeline("stable_diffusion_xl"), **adapter("stable_diffusion_xl"), **drawing},
        "sd3": lambda: {"model": pipeline("stable_diffusion_3"), **adapter("stable_diffusion_3"), **drawing},
        "sd-img2img": lambda: {"model": pipeline("stable_diffusion"), **drawing},
        "sdxl-img2img": lambda: {"model": pipeline("stable_diffusion_xl"), **drawing},
        "sd-unclip": lambda: {"model": pipeline("unclip"), **drawing},
        "flux2": lambda: {"model": pipeline("flux2"), "max_sequence_length": 128, **drawing},
        "flux2-klein": lambda: {"model": pipeline("klein"), "max_sequence_length": 16, **drawing},
        "qwen-image-edit": lambda: {"model": pipeline("qwen_edit"), "size": 64, **drawing},
        "qwen-image-edit-plus": lambda: {"model": pipeline("qwen_edit_plus"), "size": 64, **drawing},
        "omnigen": lambda: {"model": pipeline("omnigen"), **drawing},
        "emu2": lambda: {"model": pipeline("emu2"), "trust_remote_code": True, "variant": "", "size": 32, **drawing},
        "amused": lambda: {"model": amused(), **drawing},
        "lora": lambda: {"generator": {"use": "amused", "model": amused(), "lora": {"rank": 2}, **drawing}},
        "emu3": lambda: {"model": pipeline("emu3"), "size": 32, "dtype": "float32", "device": "cpu"},
        "chat": lambda: {"model": llava(), "dtype": "float32", "device": "cpu", "max_tokens": 12, "cache": False},
        "endpoint": lambda: {"url": endpoint(), "model": "tiny", "accepts_images": True, "cache": False},
        "openclip": lambda: {"model": clip(), "device": "cpu"},
        "clip_t": lambda: {ENCODER: openclip()},
        "clip_i": lambda: {ENCODER: openclip()},
        "clip_i_real": lambda: {ENCODER: openclip(), "real": {"use": "image_folder", "path": photos()}},
        "zero_shot": lambda: {ENCODER: openclip(), "classes": ["subject 0", "subject 1"]},
        "aesthetic": lambda: {ENCODER: openclip(), "head": preference("aesthetic_head")},
        "vila": lambda: {"endpoint": vila_endpoint()},
        "pickscore": lambda: {"model": preference("pickscore_folder"), "processor": preference("pickscore_folder")},
        "hpsv2": lambda: {"weights": preference("hps_folder"), "architecture": preference("hps_folder")},
        "hpsv3": lambda: {
            "weights": preference("hpsv3_folder"),
            "base": preference("hpsv3_folder"),
            "instruction": preference("hpsv3_folder") + "/instruction.txt",
        },
        "imagereward": lambda: {
            "weights": preference("imagereward_folder"),
            "tokenizer": preference("imagereward_folder"),
        },
        "vqa": lambda: {k: v for k, v in vqa().items() if k != "use"},
        "vqa_absolute": lambda: {"of": vqa()},
        "vqa_dsg": lambda: {"of": vqa()},
        "vqascore": lambda: {"model": asked("blip2"), "device": "cpu"},
        "inception": lambda: {"weights": inception_weights()},
        "kid": lambda: {ENCODER: openclip()},
        "fid": lambda: {ENCODER: openclip()},
        "image_folder": lambda: {"path": photos()},
        "image_table": lambda: {"path": f"{database('table')}/photos.csv"},
        "webdataset": lambda: {"shards": f"{database('shards')}/*.tar"},
        "union": lambda: {
            "sources": [
                {"use": "image_folder", "path": photos()},
                {"use": "image_table", "path": f"{database('table')}/photos.csv"},
            ]
        },
        "torchvision": lambda: {"dataset": "imagenet", "root": database("imagenet")},
        "stanford_dogs": lambda: {"path": database("dogs")},
        "embedding_folder": lambda: {"path": embeddings(), "encoder": "none"},
        "projected": lambda: {ENCODER: openclip(), "width": 8},
        "reflective": lambda: {"retriever": projected()},
        "prompt_file": lambda: {"path": prompt_file()},
        "tifa": lambda: {"path": benchmarks()},
        "dsg": lambda: {"path": benchmarks()},
        "t2i_compbench": lambda: {"path": benchmarks()},
        "prompts": lambda: {"source": {"use": "prompt_file", "path": prompt_file()}},
        "photographs": lambda: {"images": {"use": "image_folder", "path": photos()}},
        "index": lambda: {"images": {"use": "image_folder", "path": photos()}, "retriever": openclip()},
        "retrieve": lambda: {"retriever": openclip()},
        "generate": lambda: {"generator": toys.ToyGenerator()},
        "score": lambda: {"rewards": [named(toys.ToyReward(), "colour"), named(toys.ToyCritic(), "critic")]},
        "select": lambda: {"where": "colour >= 0.3", "best": "colour"},
        "train": lambda: {"trainer": toys_learning.ToyTrainer(named(toys_learning.ToyLearner(), "learner"))},
        "evaluate": lambda: {"diversity": openclip()},
        "project": lambda: {"encoder": openclip()},
        "benchmark": lambda: {"prompts": [{"use": "prompt_file", "path": prompt_file()}]},
        "gate": lambda: {"where": "colour < 0.5"},
        "classes": lambda: {"images": {"use": "image_folder", "path": photos()}},
    }
    return table[name]() if name in table else {}
