"""Tiny random aesthetic and preference models of the real classes, in the formats of the real ones."""

from __future__ import annotations

from pathlib import Path


def aesthetic_head(folder: Path, width: int = 32, seed: int = 6) -> Path:
    """A head as LAION's, narrower: linear layers with dropout in between, which is left out of the numbers."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    sizes = {0: (width, 24), 2: (24, 16), 4: (16, 8), 6: (8, 4), 7: (4, 1)}
    layers = {f"layers.{i}": torch.nn.Linear(*size) for i, size in sizes.items()}
    folder.mkdir(parents=True, exist_ok=True)
    weights = {f"{name}.{k}": v.detach() for name, layer in layers.items() for k, v in layer.state_dict().items()}
    save_file(weights, folder / "head.safetensors")
    return folder


def pickscore_folder(folder: Path, seed: int = 3) -> Path:
    """A CLIPModel with its processor, on 32 x 32 images."""
    from tiny import tokenizer
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

    words = tokenizer()
    words.model_input_names = ["input_ids", "attention_mask"]
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(images, words).save_pretrained(folder)
    shared = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": len(words), "max_position_embeddings": 16, "bos_token_id": 1, "eos_token_id": 2}
    vision = {"image_size": 32, "patch_size": 8}
    model = CLIPModel(
        CLIPConfig(text_config=shared | text, vision_config=shared | vision, projection_dim=16, pad_token_id=0)
    )
    _random(model, seed).save_pretrained(folder)
    return folder


def hps_folder(folder: Path, seed: int = 4) -> Path:
    """An OpenCLIP model whose weights lie in one file, as HPSv2's do, beside its configuration."""
    import tiny
    import torch
    from safetensors.torch import load_file

    tiny.openclip_folder(folder, seed)
    weights = folder / "open_clip_model.safetensors"
    torch.save({"epoch": 1, "state_dict": load_file(weights)}, folder / "HPS_v2.1_compressed.pt")
    weights.unlink()
    return folder


def blip_towers(seed: int = 5):
    """The towers of a tiny BLIP, as transformers has them: vision, and text that looks at it."""
    from transformers import BlipTextConfig, BlipTextModel, BlipVisionConfig, BlipVisionModel

    shared = {"hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 1}
    vision = BlipVisionModel(BlipVisionConfig(**shared, image_size=32, patch_size=8, layer_norm_eps=1e-6))
    text = BlipTextConfig(**shared, vocab_size=40, encoder_hidden_size=64, max_position_embeddings=40)
    return _random(vision, seed), _random(BlipTextModel(text, add_pooling_layer=False), seed + 1)


def imagereward_folder(folder: Path) -> Path:
    """The towers and a head in one file of the names that ImageReward's own code gives them, and a tokenizer."""
    import tiny
    import torch
    from safetensors.torch import load_file
    from transformers import BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    vision, text = blip_towers()
    weights = {"blip.text_encoder.embeddings.position_ids": torch.arange(40)[None]}
    weights |= {f"blip.text_encoder.{name}": value for name, value in text.state_dict().items()}
    for name, value in vision.state_dict().items():
        for ours, theirs in BLIP_NAMES:
            name = name.replace(ours, theirs)
        weights[f"blip.visual_encoder.{name}"] = value
    weights["blip.vision_proj.weight"] = weights["blip.text_proj.weight"] = torch.zeros(4, 64)
    head = load_file(aesthetic_head(folder, width=64) / "head.safetensors")
    torch.save(weights | {f"mlp.{name}": value for name, value in head.items()}, folder / "ImageReward.pt")
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *tiny.WORDS]
    BertTokenizer(vocab={word: i for i, word in enumerate(names)}).save_pretrained(folder)
    return folder


BLIP_NAMES = (
    ("embeddings.class_embedding", "cls_token"), ("embeddings.position_embedding", "pos_embed"),
    ("embeddings.patch_embedding", "patch_embed.proj"), ("post_layernorm", "norm"), ("encoder.layers", "blocks"),
    ("self_attn.qkv", "attn.qkv"), ("self_attn.projection", "attn.proj"), ("layer_norm", "norm"),
)  # fmt: skip


def hpsv3_folder(folder: Path, seed: int = 7) -> Path:
    """A tiny Qwen2-VL, and beside it the file of HPSv3: its weights by their names of transformers 4.45, one word more,
    and a head."""
    import tiny_vqa
    import torch
    from safetensors.torch import load_file, save_file

    base = load_file(tiny_vqa.qwen_folder(folder, seed) / "model.safetensors")
    weights = {name.replace("model.visual.", "visual.").replace("language_model.", ""): v for name, v in base.items()}
    words = weights["model.embed_tokens.weight"]
    torch.manual_seed(seed)
    weights["model.embed_tokens.weight"] = torch.cat([words, torch.randn(1, words.shape[1])])
    for number, size in {0: (32, 8), 3: (8, 4), 5: (4, 2)}.items():
        layer = torch.nn.Linear(*size)
        weights |= {f"rm_head.{number}.{name}": value.detach() for name, value in layer.state_dict().items()}
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "HPSv3.safetensors")
    (folder / "instruction.txt").write_text("rate the picture of: {prompt}\n<|Reward|>")
    return folder


def _random(model, seed: int):
    """The model with weights so large that what it says depends on what it is shown."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 0 and "norm" not in name.lower():
                weight.normal_(0, 0.2)
    return model.eval()


def vila_endpoint(fails: int = 0, reply: bytes | None = None) -> str:
    """The address of a stub that speaks TensorFlow Serving's REST for VILA: the mean of the picture, in [0, 1].

    fails: so many answers of 503 first; reply: what it answers instead."""
    import base64
    import io
    import json
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    import numpy as np
    from PIL import Image

    left = [fails]

    class Serving(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/v1/models/vila:predict" and asked["signature_name"] == "serving_default"
            picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(asked["inputs"]["b64"]))), float)
            left[0] -= 1
            self.send_response(200 if left[0] < 0 else 503)
            self.end_headers()
            self.wfile.write(reply or json.dumps({"outputs": [[picture.mean() / 255]]}).encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Serving)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1/models/vila"
