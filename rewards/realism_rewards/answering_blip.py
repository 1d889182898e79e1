"""BLIP and BLIP-2 as answerers: the vision tower runs once an image, the language model on many questions at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from realism.base.chat_models import generate_greedily
from realism.base.cut_texts import note_texts, token_counts

from realism_rewards.answering import Answerer

if TYPE_CHECKING:
    import torch
    from PIL import Image


class Blip(Answerer):
    """BlipForQuestionAnswering. It is asked the question alone, as it was trained; the choices are not shown.

    Shared by the questions of an image: what the vision tower gives.
    """

    def __init__(self, model: Any, reader: Any, batch: int | None = None):
        super().__init__(model, reader, batch)
        decoder, config = model.text_decoder, model.config.text_config
        decoder.generation_config.eos_token_id = config.sep_token_id
        decoder.generation_config.pad_token_id = config.pad_token_id
        generate_greedily(decoder, self.tokenizer)
        for layer in decoder.bert.encoder.layer:
            layer.crossattention.self.register_forward_pre_hook(_masked, with_kwargs=True)

    def wording(self, question: str, choices: Sequence[str]) -> str:
        return question

    def look(self, images: list[Image.Image]) -> list[torch.Tensor]:
        return list(self.model.vision_model(pixel_values=_pixels(self, images))[0])

    def write(self, seen: list[torch.Tensor], texts: list[str], limit: int) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        # Questions longer than the model's places are cut, as its authors do.
        longest = self.model.config.text_config.max_position_embeddings
        longer = [count > longest for count in token_counts(self.tokenizer, texts)]
        note_texts("BLIP", longest, texts, longer, "questions")
        words = self.tokenizer(
            texts, padding=True, padding_side="right", truncation=True, max_length=longest, return_tensors="pt"
        ).to(self.model.device)
        read = self.model.text_encoder(
            input_ids=words.input_ids, attention_mask=words.attention_mask, encoder_hidden_states=torch.stack(seen)
        )[0]
        # not the model's own generate, which lets the answer see the padding of the question
        begin = torch.full((len(texts), 1), self.model.decoder_start_token_id, device=self.model.device)
        made = self.model.text_decoder.generate(
            input_ids=begin, encoder_hidden_states=read, encoder_attention_mask=words.attention_mask,
            max_new_tokens=limit, output_logits=True, return_dict_in_generate=True,
        )  # fmt: skip
        return made.sequences, made.logits[0]


class Blip2(Answerer):
    """Blip2ForConditionalGeneration, asked "Answer the multiple-choice question. Question: ... Choices: a, b, c
    Answer:", as TIFA's authors ask it; without choices "Question: ... Answer:".

    Shared by the questions of an image: vision tower, Q-Former and projection.
    """

    def __init__(self, model: Any, reader: Any, batch: int | None = None):
        super().__init__(model, reader, batch)
        generate_greedily(model.language_model, self.tokenizer)

    def wording(self, question: str, choices: Sequence[str]) -> str:
        if not choices:
            return f"Question: {question} Answer:"
        return f"Answer the multiple-choice question. Question: {question} Choices: {', '.join(choices)} Answer:"

    def look(self, images: list[Image.Image]) -> list[torch.Tensor]:
        return list(self.model.get_image_features(_pixels(self, images), return_dict=True).pooler_output)

    def write(self, seen: list[torch.Tensor], texts: list[str], limit: int) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        language = self.model.language_model
        # An encoder counts the distance from image to text, a decoder goes on from the last word: pad where neither is.
        side = "right" if language.config.is_encoder_decoder else "left"
        words = self.tokenizer(texts, padding=True, padding_side=side, return_tensors="pt").to(self.model.device)
        images = torch.stack(seen)
        mask = torch.cat([words.attention_mask.new_ones(images.shape[:2]), words.attention_mask], 1)
        text = language.get_input_embeddings()(words.input_ids)
        made = language.generate(
            inputs_embeds=torch.cat([images.to(text), text], 1), attention_mask=mask, max_new_tokens=limit,
            output_logits=True, return_dict_in_generate=True,
        )  # fmt: skip
        return made.sequences, made.logits[0]


def _pixels(answerer: Answerer, images: list[Image.Image]) -> torch.Tensor:
    pixels = answerer.reader.image_processor(images, return_tensors="pt").pixel_values
    return pixels.to(answerer.model.device, answerer.model.dtype)


def _masked(module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The inputs of a cross-attention with the mask where it looks for it: transformers 5 gives it under another name,
    so that padding is seen."""
    return inputs, {"encoder_attention_mask": named.get("attention_mask"), **named}
