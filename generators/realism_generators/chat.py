"""Chat models of the transformers library."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Le
from realism.base.batching import Batches
from realism.base.chat_models import NO_TEMPLATE, ChatModel, check_known_type, has_chat_template, load_chat_model
from realism.base.devices import DType, pick_device, pick_dtype
from realism.base.errors import RealismError
from realism.base.files import fingerprint_path
from realism.base.loading import load_without_weights, model_type
from realism.base.pretrained import weights_error
from realism.base.texts import plain_text
from realism.parts import Chat, LanguageModel
from realism.plugins.models import find_model, local_folder

from realism_generators.replies import cached_replies

if TYPE_CHECKING:
    import torch

RESERVED = ("add_generation_prompt", "chat_template", "continue_final_message", "conversation", "messages", "tokenize")
"""Arguments of a chat template that this part sets itself, and arguments that are no variables of it."""


@dataclass
class TransformersChat(LanguageModel):
    """Any chat model of the transformers library, by its own chat template: of text alone, or of images and text.

    The likeliest token is taken each time (temperature 0), or tokens are sampled from the softmax of the logits divided
    by the temperature, as they are: the top-p and penalties that some models recommend are not used.
    """

    speed_options: ClassVar[tuple[str, ...]] = ("batch", "device", "cache")

    model: str
    """A model that a plugin ships, a folder as transformers saves it, or a hub id (Qwen/Qwen2.5-VL-3B-Instruct)."""
    revision: str | None = None
    """Branch, tag or commit of the hub id; None is its main branch."""
    dtype: DType = "auto"
    """The dtype of the model: auto is float32 on the CPU, else bfloat16. Only in float32 is a reply the same in
    any batch."""
    device: str = "auto"
    """auto (CUDA if there, else cpu), cpu, cuda, cuda:1, ..."""
    batch: Annotated[int, Ge(1), Le(10_000)] | None = None
    """Chats at a time; None is chosen automatically. Halved whenever memory runs out."""
    max_tokens: Annotated[int, Ge(1), Le(100_000)] = 512
    """A longer reply is cut there."""
    temperature: Annotated[float, Ge(0)] = 0.0
    """0 gives the likeliest reply; more gives more varied ones."""
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0
    """With a temperature: another seed gives other replies. The same seed and chat give the same reply."""
    template: dict[str, Any] = field(default_factory=dict)
    """Further variables of the model's chat template, such as {enable_thinking: false} for Qwen3."""
    cache: bool = True
    """Whether to cache replies on disk, by the model, the options and the chat. Of a hub id the revision counts, not
    the weights."""

    def inputs(self) -> list[Path]:
        return [folder] if (folder := local_folder(self.model)) else []

    def options_error(self) -> str | None:
        try:
            source = find_model(self.model)
        except RealismError as error:
            return str(error)
        if reserved := sorted(set(self.template) & set(RESERVED)):
            return f"template: '{reserved[0]}' is set by this part; allowed is any variable but {', '.join(RESERVED)}"
        return _folder_error(source) if isinstance(source, Path) else None

    @cached_property
    def accepts_images(self) -> bool:
        """Whether the model reads images, by its configuration. Raises RealismError if that cannot be loaded, or the
        model writes no text."""
        return _accepts_images(find_model(self.model), self.revision)

    @cached_property
    def loaded(self) -> ChatModel:
        """The model on its device, with its processor. Raises RealismError if it cannot be loaded."""
        device = pick_device(self.device)
        dtype = pick_dtype(self.dtype, device)
        source, images = find_model(self.model), self.accepts_images
        return load_chat_model(source, accepts_images=images, revision=self.revision, dtype=dtype, device=device)

    def release(self) -> None:
        if self.__dict__.pop("loaded", None):
            import torch

            gc.collect()
            torch.cuda.empty_cache()

    def reply(self, chats: Sequence[Chat]) -> list[str]:
        """See `LanguageModel.reply`. Chats with equally many images are answered together, as models pad images in
        ways of their own."""
        if any(chat.images for chat in chats) and not self.accepts_images:
            raise RealismError(
                f"model '{self.model}' reads text alone, but a chat has images; choose a model that reads images and "
                "text"
            )
        if not self.cache:
            return [reply for _, reply in sorted(self._answer(chats))]
        device = pick_device(self.device)
        folder = local_folder(self.model)
        settings = {
            "model": fingerprint_path(folder) if folder else [self.model, self.revision],
            "device": [device.type, str(pick_dtype(self.dtype, device))],
            "sampling": [self.temperature, self.seed] if self.temperature else None,
            "max_tokens": self.max_tokens,
            "template": self.template,
        }
        return cached_replies(settings, chats, self._answer)

    def _answer(self, chats: Sequence[Chat]) -> Iterator[tuple[int, str]]:
        """The index of each chat with its reply."""
        for count in sorted({len(chat.images) for chat in chats}):
            group = [i for i, chat in enumerate(chats) if len(chat.images) == count]
            written = self._batches.run(group, lambda batch: self._write([chats[i] for i in batch]))
            yield from zip(group, written, strict=True)

    @cached_property
    def _batches(self) -> Batches:
        return Batches(self.batch, start=16)

    def _write(self, chats: list[Chat]) -> list[str]:
        """The replies of one batch, whose chats have equally many images."""
        import torch

        loaded = self.loaded
        inputs = self._inputs(chats)
        sampling: dict[str, Any] = {}
        if self.temperature:
            seeds = [chat_seed(self.seed, chat) for chat in chats]
            sampling["logits_processor"] = [gumbel_sampler(self.temperature, seeds)]
        with torch.inference_mode():
            tokens = loaded.model.generate(**inputs, **sampling, max_new_tokens=self.max_tokens, do_sample=False)
        written = tokens[:, inputs["input_ids"].shape[1] :]
        return [plain_text(text).strip() for text in loaded.tokenizer.batch_decode(written, skip_special_tokens=True)]

    def _inputs(self, chats: list[Chat]) -> Any:
        """The inputs for a batch, on the model's device: tokens padded on the left, and the pixels of the images."""
        loaded = self.loaded
        texts, reading = loaded.prompts([as_messages(chat, loaded) for chat in chats], **self.template)
        options: dict[str, Any] = {"text": texts, "padding": True, "return_tensors": "pt", **reading}
        if not self.accepts_images:
            options["return_token_type_ids"] = False
        if chats[0].images:
            options["images"] = [[image.convert("RGB") for image in chat.images] for chat in chats]
        inputs = loaded.processor(**options)
        return inputs.to(loaded.model.device, *([loaded.model.dtype] if self.accepts_images else []))


def as_messages(chat: Chat, loaded: ChatModel) -> list[dict[str, Any]]:
    """A chat as the messages of a chat template: the system's, if there is one, and the user's."""
    system = [loaded.message("system", chat.system)] if chat.system else []
    return [*system, loaded.message("user", chat.text, len(chat.images))]


def _folder_error(folder: Path) -> str | None:
    """One sentence if the folder holds no chat model of transformers, as far as its files' names and JSON show."""
    if error := weights_error(folder):
        return error
    return None if has_chat_template(folder) else f"{folder} {NO_TEMPLATE}"


def _accepts_images(source: str | Path, revision: str | None) -> bool:
    """Whether a model reads images; only its configuration is loaded.

    Raises RealismError for a model that writes no text, or that transformers does not know without remote code.
    """
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    )

    kind = model_type(source, revision)
    check_known_type(source, kind)
    config = type(load_without_weights(AutoConfig, source, revision=revision))
    if config in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return True
    if config in MODEL_FOR_CAUSAL_LM_MAPPING:
        return False
    raise RealismError(
        f"model '{source}' is of type '{kind}', which writes no text; expected a causal language model or one that "
        "reads images and writes text"
    )


def chat_seed(seed: int, chat: Chat) -> int:
    """A seed in [0, 2**63) for one chat: a hash of the part's seed and all that the chat holds."""
    digest = hashlib.blake2b(repr((seed, chat.system, chat.text)).encode(), digest_size=8)
    for image in chat.images:
        digest.update(repr(image.size).encode() + image.convert("RGB").tobytes())
    return int.from_bytes(digest.digest(), "big") >> 1


def gumbel_sampler(temperature: float, seeds: Sequence[int]) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """A logits processor (b, vocabulary) -> (b, vocabulary) float32 after which argmax is a sample of
    softmax(logits / temperature), by the Gumbel-max trick (argmax of logits / temperature - log E, E exponential). Each
    row has its own generator, on the CPU, so that a sample depends neither on the batch nor on the device."""
    import torch

    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]

    def draw(tokens: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        size = logits.shape[-1]
        exponential = torch.stack([torch.empty(size).exponential_(generator=g) for g in generators])
        return logits.float() / temperature - exponential.clamp_min(1e-30).log().to(logits.device)

    return draw
