"""The card that each miniature ships with: data, time, seed, figures, a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

ABOUT = {
    "flux": (
        "A FluxKontextPipeline that draws 64 × 64 garden pictures and copies the look of a reference picture.",
        "It knows 18 species by name. The 6 novel species were never shown to it, by name or by look: the random "
        "species it learnt to copy from differ from each novel one in at least 2 of 5 traits.",
        "Call it with height=64, width=64, max_sequence_length=32, num_inference_steps=12, true_cfg_scale=2.5 and "
        'negative_prompt="", and with max_area=64*64, _auto_resize=False when there is a reference image.',
    ),
    "clip": (
        "An OpenCLIP dual encoder of pictures and captions that knows all 24 species.",
        "It learnt from renders and their captions in varied wording.",
        'Load it with open_clip.create_model_and_transforms("local-dir:FOLDER").',
    ),
    "vqa": (
        "A BlipForQuestionAnswering that answers questions about garden pictures with a word or two: species, number, "
        "colour, place in the picture, background, light, companion and its side; openly, or with yes and no.",
        "It learnt from renders, a fifth of them passed through garden/flux's autoencoder; its vision tower started "
        "from garden/clip's. It knows the words of realism_garden.questions and of the captions; others are unknown.",
        'The figures are shares right; kinds with "?" were asked with yes and no. On drawn pictures the truth is '
        "what the exact reader sees there, and agreement is how often both say the same to the prompts' own yes-no "
        "questions.",
        "Load it with BlipForQuestionAnswering.from_pretrained(FOLDER) and AutoProcessor.from_pretrained(FOLDER).",
    ),
    "aesthetic": (
        "An OpenCLIP picture encoder and the stack of linear layers that LAION's aesthetic predictor has on the "
        "normalised embedding (head.safetensors); together they tell the criterion of realism_garden.beauty, 0 to 1.",
        "It learnt from renders, a tenth of them passed through garden/flux's autoencoder. Its text side is untrained.",
        'Load the encoder with open_clip.create_model_and_transforms("local-dir:FOLDER").',
    ),
    "judge": (
        "An OpenCLIP dual encoder of another seed and shape than garden/clip, and the reader; for evaluation only.",
        "Both learnt from renders alone. Nothing may be trained on them, or their scores would say nothing.",
        "reader.safetensors is read by realism_garden.reader.load_reader.",
    ),
    "unet": (
        "A StableDiffusionPipeline that draws 64 × 64 garden pictures of the 18 known species: a U-Net of latents, "
        "predicting velocity.",
        "The 6 novel species were never shown to it. Its autoencoder is that of garden/flux (vae/ holds links to it), "
        "whose shift this pipeline does not use, and which this U-Net did not learn to expect.",
        "Towards the end of its training 40 % of the captions misstated a fact or two, so it obeys in part only: there "
        "is something to tune.",
        "Call it with height=64, width=64, num_inference_steps=20 and guidance_scale=4; with 10 and 1 it is quicker.",
    ),
    "writer": (
        "A Llama of words that does the three tasks of DreamSync in the garden's language: it writes prompts, writes "
        "questions about a description, and says whether a question can be answered.",
        "It knows the instructions of realism_dreamsync, no others.",
        "Use it as {use: chat, model: garden/writer}; with a temperature of 1 its prompts vary.",
    ),
}


def write_card(folder: Path, name: str, seed: int, figures: dict, about: Sequence[str] | None = None) -> None:
    """Writes card.md and figures.json beside the weights; ``figures`` are measured on what training did not see.

    ``about`` says what the miniature is, unless it is one of the garden's own.
    """
    title = f"garden/{name}" if about is None else name
    lines = [f"# {title}", "", *(f"{line}\n" for line in about or ABOUT[name]), f"Seed {seed}. Apache-2.0.", ""]
    for part, values in figures.items():
        values = values if isinstance(values, dict) else {part: values}
        lines += [f"## {part}", "", "| figure | value |", "|---|---|"]
        lines += [f"| {key} | {value} |" for key, value in values.items()]
        lines.append("")
    if (folder / "grid.png").exists():
        lines += ["![pictures](grid.png)", ""]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.md").write_text("\n".join(lines))
    (folder / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
