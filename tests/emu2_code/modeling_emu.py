"""The multimodal encoder of a tiny model that brings its own code: text and pictures become one sequence."""

import torch
from transformers import PretrainedConfig, PreTrainedModel


class TinyEmuConfig(PretrainedConfig):
    model_type = "tiny_emu"

    def __init__(self, vocab_size=8, hidden_size=32, **more):
        super().__init__(**more)
        self.vocab_size, self.hidden_size = vocab_size, hidden_size


class TinyEmu(PreTrainedModel):
    config_class = TinyEmuConfig

    def __init__(self, config):
        super().__init__(config)
        self.words = torch.nn.Embedding(config.vocab_size, config.hidden_size)
        self.look = torch.nn.Linear(3, config.hidden_size)
        self.post_init()

    def forward(self, ids, colours):
        """ids (1, n), colours (1, m, 3) -> (1, n + m, hidden_size)."""
        return torch.cat([self.words(ids), self.look(colours)], dim=1)
