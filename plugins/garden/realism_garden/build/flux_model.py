"""The networks of the flux miniature, their loss, and a plain sampler; the real pipeline's parts, only small."""

from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxKontextPipeline, FluxTransformer2DModel
from torch import nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5TokenizerFast

from ..species import KNOWN
from .flux_data import LatentBatch, decode
from .tokenizers import TOKENS, clip_tokenizer, t5_tokenizer

WIDTH, HEAD, DOUBLE, SINGLE, TEXT = 160, 32, 1, 5, 96


class FluxParts(nn.Module):
    """Transformer and text encoders, trained as one; ``names`` is how many species they know by name."""

    def __init__(self, t5: T5TokenizerFast, clip: CLIPTokenizer, names: int = len(KNOWN)):
        super().__init__()
        self.transformer = FluxTransformer2DModel(
            in_channels=16, num_layers=DOUBLE, num_single_layers=SINGLE, attention_head_dim=HEAD,
            num_attention_heads=WIDTH // HEAD, joint_attention_dim=TEXT, pooled_projection_dim=TEXT,
            guidance_embeds=False, axes_dims_rope=(8, 12, 12),
        )  # fmt: skip
        self.text_encoder = CLIPTextModel(CLIPTextConfig(
            vocab_size=len(clip), hidden_size=TEXT, intermediate_size=2 * TEXT, num_hidden_layers=1,
            num_attention_heads=4, max_position_embeddings=TOKENS, bos_token_id=clip.bos_token_id,
            eos_token_id=clip.eos_token_id, pad_token_id=clip.pad_token_id, projection_dim=TEXT,
        ))  # fmt: skip
        self.text_encoder_2 = T5EncoderModel(T5Config(
            vocab_size=len(t5), d_model=TEXT, d_kv=24, num_heads=4, d_ff=2 * TEXT, num_layers=2, dropout_rate=0.0,
            feed_forward_proj="gated-gelu", relative_attention_num_buckets=16, relative_attention_max_distance=32,
        ))  # fmt: skip
        # Only for training: they name the species from each encoder's text, else thousands of steps go by without.
        self.namers = nn.ModuleList(nn.Linear(TEXT, names + 1) for _ in range(2))
        nn.init.zeros_(self.transformer.proj_out.weight)
        for block in [*self.transformer.transformer_blocks, *self.transformer.single_transformer_blocks]:
            for name in ("norm", "norm1", "norm1_context"):
                if (norm := getattr(block, name, None)) is None:
                    continue
                nn.init.zeros_(norm.linear.weight)  # each block begins close to doing nothing (adaLN-zero)
                nn.init.zeros_(norm.linear.bias)

    def text(self, t5_ids: torch.Tensor, clip_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids [n, 32] of both tokenizers to text tokens [n, 32, 96] and pooled text [n, 96]."""
        return self.text_encoder_2(t5_ids)[0], self.text_encoder(clip_ids).pooler_output

    def velocity(self, x: torch.Tensor, t: torch.Tensor, text: tuple, reference: torch.Tensor | None) -> torch.Tensor:
        """Noise minus picture [n, 64, 16], predicted from noisy tokens x at times t in 0 to 1."""
        ids = image_ids(0)
        if reference is not None:
            x, ids = torch.cat([x, reference], 1), torch.cat([ids, image_ids(1)])
        out = self.transformer(
            hidden_states=x, encoder_hidden_states=text[0], pooled_projections=text[1], timestep=t,
            img_ids=ids, txt_ids=torch.zeros(TOKENS, 3), return_dict=False,
        )[0]  # fmt: skip
        return out[:, :64]


def image_ids(first: int) -> torch.Tensor:
    """Position ids [64, 3] as the Kontext pipeline makes them: 0 for the picture or 1 for a reference, row, column."""
    ids = torch.zeros(8, 8, 3)
    ids[..., 0] = first
    ids[..., 1] += torch.arange(8)[:, None]
    ids[..., 2] += torch.arange(8)
    return ids.view(64, 3)


class Words:
    """Both tokenizers, padding every caption to 32 tokens as the pipelines do (they pass no mask)."""

    def __init__(self, seed: int, folder: Path | None = None):
        if folder and (folder / "tokenizer").is_dir():  # of a pipeline or a checkpoint
            self.t5 = T5TokenizerFast.from_pretrained(folder / "tokenizer_2")
            self.clip = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        else:
            self.t5, self.clip = t5_tokenizer(seed), clip_tokenizer(seed)

    def __call__(self, captions: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        options = {"padding": "max_length", "max_length": TOKENS, "truncation": True, "return_tensors": "pt"}
        return self.t5(captions, **options).input_ids, self.clip(captions, **options).input_ids


def naming_loss(parts: FluxParts, text: tuple[torch.Tensor, torch.Tensor], named: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the known species named by a caption, read from T5's mean token and from CLIP's pooled text."""
    seen = zip(parts.namers, (text[0].mean(1), text[1]), strict=True)
    return torch.stack([F.cross_entropy(namer(x).float(), named) for namer, x in seen]).sum()


def flow_loss(parts: nn.Module, words: Words, batch: LatentBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Rectified flow: squared error of the velocity at logit-normal times; and the loss of naming the species."""
    n = len(batch.captions)
    t = torch.sigmoid(torch.randn(n))
    noise = torch.randn_like(batch.target)
    x = torch.lerp(batch.target, noise, t[:, None, None])
    with torch.autocast("cpu", torch.bfloat16):
        text = parts.text(*words(batch.captions))
        v = parts.velocity(x, t, text, batch.reference)
        naming = naming_loss(parts, text, batch.named)
    return (v.float() - (noise - batch.target)).square().mean(), naming


@torch.no_grad()
def sample(
    parts: FluxParts, words: Words, captions: list[str], reference: torch.Tensor | None, seed: int,
    steps: int = 12, scale: float = 2.5,
) -> torch.Tensor:  # fmt: skip
    """Tokens [n, 64, 16] drawn by Euler steps with classifier-free guidance, as the pipeline does it."""
    n = len(captions)
    x = torch.randn(n, 64, 16, generator=torch.Generator().manual_seed(seed))
    both = [torch.cat(pair) for pair in zip(parts.text(*words(captions)), parts.text(*words([""] * n)), strict=True)]
    twice = torch.cat([reference] * 2) if reference is not None else None
    times = torch.linspace(1, 0, steps + 1)
    for now, then in pairwise(times):
        with torch.autocast("cpu", torch.bfloat16):
            v = parts.velocity(torch.cat([x, x]), now.expand(2 * n), both, twice).float()
        yes, no = v.chunk(2)
        x = x + (then - now) * (no + scale * (yes - no))
    return x


def draw(
    parts: FluxParts, vae: AutoencoderKL, words: Words, captions: list[str], reference: torch.Tensor | None, seed: int,
    **options: float,
) -> torch.Tensor:  # fmt: skip
    """Pictures [n, 3, 64, 64] in -1 to 1 for captions, 48 at a time."""
    out = []
    for k in range(0, len(captions), 48):
        ref = reference[k : k + 48] if reference is not None else None
        out.append(decode(vae, sample(parts, words, captions[k : k + 48], ref, seed + k, **options)))
    return torch.cat(out)


def save_pipeline(parts: FluxParts, vae: AutoencoderKL, words: Words, out: Path) -> None:
    """Writes a FluxKontextPipeline folder in float16; its copy leaves the training weights as they are."""
    half = copy.deepcopy(parts).half().eval()
    scheduler = FlowMatchEulerDiscreteScheduler(shift=1.0, use_dynamic_shifting=False)
    FluxKontextPipeline(
        scheduler=scheduler, vae=copy.deepcopy(vae).half(), text_encoder=half.text_encoder, tokenizer=words.clip,
        text_encoder_2=half.text_encoder_2, tokenizer_2=words.t5, transformer=half.transformer,
    ).save_pretrained(out)  # fmt: skip
