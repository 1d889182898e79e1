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
from realism.base.devices import DType, pick_device, pick_dtype
from realism.base.errors import RealismError
from realism.base.files import fingerprint_path
from realism.base.pretrained import break_special_tokens, special_tokens
from realism.base.texts import plain_text
from realism.parts import Chat, LanguageModel
from realism.plugins.models import find_model, local_folder

from realism_generators.replies import kept_replies

if TYPE_CHECKING:
    import torch

    from realism_generators.chat_loading import ChatModel

OWN = ("add_generation_prompt", "chat_template", "continue_final_message", "conversation", "messages", "tokenize")
"""What a chat template is given by this part itself, or is no variable."""


@dataclass
class TransformersChat(LanguageModel):
    """Any chat model of the transformers library, by its own chat template: of text alone, or of images and text.

    The likeliest token is taken each time (temperature 0), or tokens are drawn from the softmax of the logits divided
    by the temperature, as they are: the top-p and penalties that some models recommend are not used.
    """

    speed_options: ClassVar[tuple[str, ...]] = ("batch", "device", "cache")

    model: str
    """A model that a plugin ships, a folder as transformers saves it, or a hub id (Qwen/Qwen2.5-VL-3B-Instruct)."""
    revision: str | None = None
    """Branch, tag or commit of the hub id; None is its main branch."""
    dtype: DType = "auto"
    """The arithmetic of the model: auto is float32 on the CPU, else bfloat16. Only in float32 is a reply the same in
    any batch."""
    device: str = "auto"
    """auto (CUDA if there, else cpu), cpu, cuda, cuda:1, ..."""
    batch: Annotated[int, Ge(1), Le(10_000)] | None = None
    """Chats at a time; None is found by itself. Halved whenever memory runs out."""
    max_tokens: Annotated[int, Ge(1), Le(100_000)] = 512
    """A longer reply is cut there."""
    temperature: Annotated[float, Ge(0)] = 0.0
    """0 gives the likeliest reply; more gives more varied ones."""
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0
    """With a temperature: another seed gives other replies. The same seed and chat give the same reply."""
    template: dict[str, Any] = field(default_factory=dict)
    """Variables of the model's chat template, such as {enable_thinking: false} for Qwen3."""
    cache: bool = True
    """Whether to keep replies, and to take those that are kept, by the model, the options and the chat. Of a hub id the
    revision counts, not the weights."""

    def inputs(self) -> list[Path]:
        return [folder] if (folder := local_folder(self.model)) else []

    def options_error(self) -> str | None:
        from realism_generators.chat_loading import chat_folder_error

        try:
            source = find_model(self.model)
        except RealismError as error:
            return str(error)
        if own := sorted(set(self.template) & set(OWN)):
            return f"template: '{own[0]}' is not the template's to know; allowed is any variable but {', '.join(OWN)}"
        return chat_folder_error(source) if isinstance(source, Path) else None

    @cached_property
    def accepts_images(self) -> bool:
        """Whether the model reads images. Raises RealismError if its configuration cannot be had."""
        from realism_generators.chat_loading import model_sees

        return model_sees(find_model(self.model), self.revision)

    @cached_property
    def loaded(self) -> ChatModel:
        """The model on its device, with its tokenizer. Raises RealismError in words when it cannot be had."""
        from realism_generators.chat_loading import load_chat_model

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
        who = {
            "model": fingerprint_path(folder) if folder else [self.model, self.revision],
            "arithmetic": [device.type, str(pick_dtype(self.dtype, device))],
            "drawn": [self.temperature, self.seed] if self.temperature else None,
            "max_tokens": self.max_tokens,
            "template": self.template,
        }
        return kept_replies(who, chats, self._answer)

    def _answer(self, chats: Sequence[Chat]) -> Iterator[tuple[int, str]]:
        """The number of each chat with its reply."""
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
        asked = self._read(chats)
        sampling: dict[str, Any] = {}
        if self.temperature:
            sampling["logits_processor"] = [drawn(self.temperature, [chat_seed(self.seed, chat) for chat in chats])]
        with torch.inference_mode():
            tokens = loaded.model.generate(**asked, **sampling, max_new_tokens=self.max_tokens, do_sample=False)
        written = tokens[:, asked["input_ids"].shape[1] :]
        return [plain_text(text).strip() for text in loaded.tokenizer.batch_decode(written, skip_special_tokens=True)]

    def _read(self, chats: list[Chat]) -> Any:
        """The inputs for a batch, where the model is: tokens padded on the left, and the pixels of the images."""
        from jinja2 import TemplateError

        reader, tokenizer = self.loaded.reader, self.loaded.tokenizer
        special = special_tokens(reader, tokenizer)
        messages = [as_messages(chat, self.accepts_images, special) for chat in chats]
        try:
            texts = [
                reader.apply_chat_template(m, add_generation_prompt=True, tokenize=False, **self.template)
                for m in messages
            ]
        except (TemplateError, ValueError) as error:
            raise RealismError(f"the chat template of model '{self.model}' refuses a chat: {error}") from error
        options: dict[str, Any] = {"text": texts, "padding": True, "return_tensors": "pt"}
        if not self.accepts_images:
            options["return_token_type_ids"] = False
        if not self.accepts_images or texts[0].startswith(tokenizer.bos_token or "\0"):
            options["add_special_tokens"] = False  # templates write them; a few that see leave out the first
        if chats[0].images:
            options["images"] = [[image.convert("RGB") for image in chat.images] for chat in chats]
        model = self.loaded.model
        place = (model.device, model.dtype) if self.accepts_images else (model.device,)
        return reader(**options).to(*place)


def as_messages(chat: Chat, accepts_images: bool, special: Sequence[str]) -> list[dict[str, Any]]:
    """A chat as chat templates take it. special: tokens that mean something to the model, which are parted where the
    chat's own text has them, so that a text cannot end its message or show an image that is not there."""

    def content(text: str, images: int = 0) -> Any:
        said = break_special_tokens(text, special)
        return [*[{"type": "image"}] * images, {"type": "text", "text": said}] if accepts_images else said

    task = [{"role": "system", "content": content(chat.system)}] if chat.system else []
    return [*task, {"role": "user", "content": content(chat.text, len(chat.images))}]


def chat_seed(seed: int, chat: Chat) -> int:
    """A seed in [0, 2**63) for one chat: a hash of the part's seed and all that the chat holds."""
    digest = hashlib.blake2b(repr((seed, chat.system, chat.text)).encode(), digest_size=8)
    for image in chat.images:
        digest.update(repr(image.size).encode() + image.convert("RGB").tobytes())
    return int.from_bytes(digest.digest(), "big") >> 1


def drawn(temperature: float, seeds: Sequence[int]) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """A logits processor after which the greatest value is a sample: softmax(logits / temperature), by Gumbel's trick
    (argmax of logits / temperature - log E, with E exponential). Each row has its own generator, on the CPU, so that
    a sample depends neither on the batch nor on the device."""
    import torch

    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]

    def draw(tokens: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        size = logits.shape[-1]
        waits = torch.stack([torch.empty(size).exponential_(generator=g) for g in generators])
        return logits.float() / temperature - waits.clamp_min(1e-30).log().to(logits.device)

    return draw
