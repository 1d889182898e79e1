"""DreamSync (Sun et al. 2023): prompts and questions by a language model, and benchmarks of faithfulness."""
