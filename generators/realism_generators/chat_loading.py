"""Chat models of transformers, from folders and the hub: safetensors only, no remote code, sentences when it fails."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.base.errors import RealismError
from realism.base.loading import load_model, load_without_weights, model_type
from realism.base.pretrained import loading_errors, read_json, weights_error

if TYPE_CHECKING:
    import torch

TEMPLATES = ("chat_template.jinja", "chat_template.json")
NO_TEMPLATE = "has no chat template, so it is not known how to ask it; use the chat or instruct version of the model"


@dataclass(frozen=True)
class ChatModel:
    """A loaded model, and what turns chats into its tokens: a processor if it sees, else a tokenizer."""

    model: Any
    reader: Any
    tokenizer: Any


def chat_folder_error(folder: Path) -> str | None:
    """One sentence if the folder holds no chat model of transformers, as far as its files' names and JSON tell."""
    if error := weights_error(folder):
        return error
    named = any("chat_template" in read_json(folder / f"{kind}_config.json") for kind in ("tokenizer", "processor"))
    if not named and not any((folder / name).is_file() for name in TEMPLATES):
        return f"{folder} {NO_TEMPLATE}"
    return None


def model_sees(source: str | Path, revision: str | None) -> bool:
    """Whether a model reads images; only its configuration is loaded.

    Raises RealismError for a model that writes no text, or that transformers does not know without remote code.
    """
    from transformers import AutoConfig, __version__
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    )

    kind = model_type(source, revision)
    if kind not in CONFIG_MAPPING_NAMES:
        raise RealismError(
            f"model '{source}' is of type '{kind}', which transformers {__version__} does not have, and code that "
            "comes with a model is not run; choose another model or a newer transformers"
        )
    config = type(load_without_weights(AutoConfig, source, revision=revision))
    if config in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return True
    if config in MODEL_FOR_CAUSAL_LM_MAPPING:
        return False
    raise RealismError(
        f"model '{source}' is of type '{kind}', which writes no text; expected a causal language model or one that "
        "reads images and writes text"
    )


def load_chat_model(
    source: str | Path, *, accepts_images: bool, revision: str | None, dtype: torch.dtype, device: torch.device
) -> ChatModel:
    """The model on its device, with its tokens padded on the left, so that every chat ends where its reply begins.

    Raises RealismError if it cannot be loaded, is not whole, or has no chat template.
    """
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

    with loading_errors(source):
        reader = load_without_weights(AutoProcessor if accepts_images else AutoTokenizer, source, revision=revision)
        tokenizer = reader.tokenizer if accepts_images else reader
        reader.chat_template = reader.chat_template or tokenizer.chat_template
        if reader.chat_template is None:
            raise RealismError(f"model '{source}' {NO_TEMPLATE}")
        kind = AutoModelForImageTextToText if accepts_images else AutoModelForCausalLM
        model = load_model(kind, source, revision=revision, dtype=dtype)
        tokenizer.padding_side = "left"
        _end_replies(model, tokenizer)
        return ChatModel(model.to(device).eval(), reader, tokenizer)


def _end_replies(model: Any, tokenizer: Any) -> None:
    """Keep of a model's settings for generation which tokens end a reply, and nothing else.

    Its own top-p or beams would be another way of sampling than the part's options say, and a penalty on repetition
    counts the padding, so that a reply would depend on its batch.
    """
    from transformers import GenerationConfig

    kept = model.generation_config
    ends = kept.eos_token_id if kept.eos_token_id is not None else tokenizer.eos_token_id
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    model.generation_config = GenerationConfig(
        eos_token_id=ends, bos_token_id=kept.bos_token_id, pad_token_id=tokenizer.pad_token_id
    )
