"""Questions answered a second by the reward `vqa` against one question at a time, same model and questions, in one go.

Random models of the real classes, with depth and width shrunk alike, so that vision, language and vocabulary cost in
proportion what they do in blip-vqa-base, blip2-flan-t5-xl and llava-1.5-7b; tokens an image are as in the real ones.
One question at a time is what the models' cards show: processor, generate, decode. Left out: loading, and choosing
among choices, which is the same for both. Answers end after 3 tokens. Rounds alternate; the best of each side counts.
Run: .venv/bin/python benchmarks/questions.py --images 4 --questions 8 --rounds 3
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
import transformers as tf
from PIL import Image
from realism_rewards import answering
from realism_rewards.answering import Answerer
from realism_rewards.answering_blip import Blip, Blip2
from realism_rewards.answering_chat import SharedChat
from realism_rewards.questions import Question
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = (
    "is",
    "there",
    "a",
    "flower",
    "what",
    "color",
    "are",
    "petals",
    "how",
    "many",
    "bees",
    "on",
    "red",
    "yes",
    "no",
)
LIMIT = 3
MODELS = ("blip", "blip-2", "llava")


def main() -> None:
    """Print both sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--questions", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    answering.ANSWER_TOKENS = LIMIT
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (512, 512, 3), dtype=np.uint8)) for _ in range(given.images)]
    questions = [
        [
            Question(" ".join(rng.choice(WORDS, int(rng.integers(5, 10)))), ("yes", "no", "red", "blue"), "yes")
            for _ in range(given.questions)
        ]
        for _ in images
    ]
    for name in given.models:
        torch.manual_seed(0)
        answerer = model_of(name)
        ours, single = [], []
        for _ in range(given.rounds):
            began = time.perf_counter()
            together = answerer.answer(images, questions)
            middle = time.perf_counter()
            alone = one_by_one(answerer, images, questions)
            ours.append(middle - began)
            single.append(time.perf_counter() - middle)
        same = sum(a == b for x, y in zip(together, alone, strict=True) for a, b in zip(x, y, strict=True))
        count = given.images * given.questions
        print(
            f"{name:7s} one at a time {count / min(single):6.2f} q/s   vqa {count / min(ours):6.2f} q/s   "
            f"{min(single) / min(ours):.2f} x (goal: at least 3 x)   same answers {same} of {count}"
        )


@torch.inference_mode()
def one_by_one(answerer: Answerer, images: list[Image.Image], questions: list[list[Question]]) -> list[list[str]]:
    """The answers as the model's card gets them."""
    return [
        [one(answerer, image, question) for question in those] for image, those in zip(images, questions, strict=True)
    ]


def one(answerer: Answerer, image: Image.Image, question: Question) -> str:
    text, reader = answerer.wording(question.question, question.choices), answerer.reader
    if isinstance(answerer, SharedChat):
        content = [{"type": "image"}, {"type": "text", "text": text}]
        text = reader.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = reader(images=image, text=text, return_tensors="pt")
    tokens = answerer.model.generate(**inputs, max_new_tokens=LIMIT, do_sample=False)[0]
    if isinstance(answerer, SharedChat):
        tokens = tokens[inputs["input_ids"].shape[1] :]
    return answerer.tokenizer.decode(tokens, skip_special_tokens=True).strip()


def model_of(name: str) -> Answerer:
    """A random model, a quarter as wide and deep as the real one (an eighth as wide: llava)."""
    if name == "blip":  # ViT-B/16 at 384, BERT-base twice
        names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
        words = tf.BertTokenizer(vocab={word: i for i, word in enumerate(names)}, model_max_length=35)
        text = {**sizes(192, 3), "vocab_size": 2000, "encoder_hidden_size": 192, "max_position_embeddings": 512}
        ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
        config = tf.BlipConfig(
            text_config=text | ids, vision_config=sizes(192, 3) | {"image_size": 384, "patch_size": 16}
        )
        reader = tf.BlipProcessor(tf.BlipImageProcessor(size={"height": 384, "width": 384}), words)
        return Blip(tf.BlipForQuestionAnswering(config).eval(), reader)
    if name == "blip-2":  # ViT-g/14 at 224, BERT-base as Q-Former, T5-XL
        words = tokenizer("$A </s>")
        reader = tf.Blip2Processor(
            tf.BlipImageProcessor(size={"height": 224, "width": 224}), words, num_query_tokens=32
        )
        config = tf.Blip2Config(
            vision_config=sizes(352, 10, 8) | {"image_size": 224, "patch_size": 14},
            qformer_config=sizes(192, 3) | {"encoder_hidden_size": 352},
            text_config=tf.T5Config(
                vocab_size=1500, d_model=512, d_kv=64, d_ff=1280, num_layers=6, num_heads=8, pad_token_id=0,
                eos_token_id=2, decoder_start_token_id=0, feed_forward_proj="gated-gelu",
            ).to_dict(),
            num_query_tokens=32, image_token_index=words.convert_tokens_to_ids("<image>"),
        )  # fmt: skip
        return Blip2(tf.Blip2ForConditionalGeneration(config).eval(), reader)
    words = tokenizer("$A")  # ViT-L/14 at 336, Llama 7B
    words.chat_template = "{% for m in messages %}<s><image>{{ m['content'][1]['text'] }}{% endfor %}"
    size = {"height": 336, "width": 336}
    reader = tf.LlavaProcessor(
        tf.CLIPImageProcessor(size={"shortest_edge": 336}, crop_size=size), words, patch_size=14,
        vision_feature_select_strategy="default", num_additional_image_tokens=1, chat_template=words.chat_template,
    )  # fmt: skip
    llama = tf.LlamaConfig(
        vocab_size=500, hidden_size=512, intermediate_size=1376, num_hidden_layers=4, num_attention_heads=4,
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    vision = tf.CLIPVisionConfig(**sizes(128, 3, 2), image_size=336, patch_size=14)
    config = tf.LlavaConfig(vision_config=vision, text_config=llama, image_token_index=words.vocab["<image>"])
    return SharedChat(tf.LlavaForConditionalGeneration(config).eval(), reader)


def sizes(width: int, layers: int, heads: int = 3) -> dict[str, Any]:
    return {
        "hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers,
        "num_attention_heads": heads,
    }  # fmt: skip


def tokenizer(form: str) -> tf.PreTrainedTokenizerFast:
    """A tokenizer of whole words."""
    names = {word: i for i, word in enumerate(["<pad>", "<s>", "</s>", "<unk>", "<image>", *WORDS])}
    raw = Tokenizer(models.WordLevel(names, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(single=form, special_tokens=[("<s>", 1), ("</s>", 2)])
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        additional_special_tokens=["<image>"], model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


if __name__ == "__main__":
    main()
