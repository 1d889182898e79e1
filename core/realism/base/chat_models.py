"""Models of transformers that are prompted by a chat template of their own: loading, and chats as prompts.

Only safetensors are read and no code of a model is run, as in `realism.base.loading`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.base.errors import RealismError
from realism.base.loading import load_model, load_without_weights
from realism.base.pretrained import break_special_tokens, loading_errors, read_json, special_tokens

if TYPE_CHECKING:
    import torch

TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")
NO_TEMPLATE = "has no chat template, so it is not known how to prompt it; use the chat or instruct version of the model"


@dataclass(frozen=True)
class ChatModel:
    """A model and its processor: of images and text, or a tokenizer where it reads text alone."""

    model: Any
    processor: Any

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the processor, or the processor itself."""
        return getattr(self.processor, "tokenizer", self.processor)

    @property
    def accepts_images(self) -> bool:
        """Whether the processor reads images."""
        return self.tokenizer is not self.processor

    def message(self, role: str, text: str, images: int = 0) -> dict[str, Any]:
        """A message of a chat: images, then a text whose special tokens are broken, so that it cannot end its message
        or show an image that is not there."""
        plain = break_special_tokens(text, self._special)
        parts = [*[{"type": "image"}] * images, {"type": "text", "text": plain}]
        return {"role": role, "content": parts if self.accepts_images else plain}

    @cached_property
    def _special(self) -> list[str]:
        return special_tokens(self.processor, self.tokenizer)

    def prompts(self, chats: Sequence[Sequence[dict[str, Any]]], **variables: Any) -> tuple[list[str], dict[str, bool]]:
        """Chats, each of messages, as the prompts of the chat template, and the options with which the processor or
        tokenizer is to read them. variables: further ones of the template. Raises RealismError for a chat that the
        template refuses."""
        from jinja2 import TemplateError

        try:
            texts = [
                self.processor.apply_chat_template(list(chat), add_generation_prompt=True, tokenize=False, **variables)
                for chat in chats
            ]
        except (TemplateError, ValueError) as error:
            raise RealismError(
                f"the chat template of model '{self.model.name_or_path}' refuses a chat: {error}"
            ) from error
        # templates write the special tokens; a few of models of images leave out the first
        complete = not self.accepts_images or texts[0].startswith(self.tokenizer.bos_token or "\0")
        return texts, {"add_special_tokens": False} if complete else {}


def has_chat_template(folder: Path) -> bool:
    """Whether a model's folder names a chat template, as far as its files' names and JSON show."""
    named = any("chat_template" in read_json(folder / f"{part}_config.json") for part in ("tokenizer", "processor"))
    return named or any((folder / name).is_file() for name in TEMPLATE_FILES)


def check_known_type(source: str | Path, model_type: str) -> None:
    """Raises RealismError for a model type that transformers does not have without code of the model's own."""
    from transformers import __version__
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if model_type not in CONFIG_MAPPING_NAMES:
        raise RealismError(
            f"model '{source}' is of type '{model_type}', which transformers {__version__} does not have, and code "
            "that comes with a model is not run; choose another model or a newer transformers"
        )


def load_chat_model(
    source: str | Path, *, accepts_images: bool, revision: str | None, dtype: torch.dtype, device: torch.device
) -> ChatModel:
    """The model on its device, with its processor, as `as_chat_model` makes them.

    source: a folder or a hub id. Raises RealismError if it cannot be loaded, lacks weights, or has no chat template.
    """
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

    with loading_errors(source):
        processor = load_without_weights(AutoProcessor if accepts_images else AutoTokenizer, source, revision=revision)
        check_template(source, processor)
        kind = AutoModelForImageTextToText if accepts_images else AutoModelForCausalLM
        model = load_model(kind, source, revision=revision, dtype=dtype)
        return as_chat_model(model.to(device).eval(), processor)


def check_template(source: str | Path, processor: Any) -> None:
    """Raises RealismError unless a processor, or its tokenizer, has a chat template."""
    if not (processor.chat_template or getattr(processor, "tokenizer", processor).chat_template):
        raise RealismError(f"model '{source}' {NO_TEMPLATE}")


def as_chat_model(model: Any, processor: Any) -> ChatModel:
    """A model and a processor that has a chat template: tokens are padded on the left, so that every prompt ends where
    its reply begins, and of the model's settings for generation only its special tokens are left."""
    loaded = ChatModel(model, processor)
    tokenizer = loaded.tokenizer
    processor.chat_template = processor.chat_template or tokenizer.chat_template
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    generate_greedily(model, tokenizer)
    return loaded


def generate_greedily(model: Any, tokenizer: Any) -> None:
    """Leave of a model's settings for generation the tokens that begin, end and pad a text, and nothing else: its own
    top-p, beams or penalties would be another way of sampling than a part's options say, and a penalty on repetition
    counts the padding, so that a reply would depend on its batch."""
    from transformers import GenerationConfig

    names = ("eos_token_id", "bos_token_id", "pad_token_id", "decoder_start_token_id")
    config = {name: getattr(model.generation_config, name, None) for name in names}
    for name in names[:3]:
        if config[name] is None:
            config[name] = getattr(tokenizer, name)
    if config["pad_token_id"] is None:
        ends = config["eos_token_id"]
        config["pad_token_id"] = ends[0] if isinstance(ends, list) else ends or 0
    model.generation_config = GenerationConfig(**config, do_sample=False, num_beams=1)
