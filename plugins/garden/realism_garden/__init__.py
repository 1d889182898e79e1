"""The garden: a procedural world of flowers with known truth, and miniatures of real models trained on it."""
