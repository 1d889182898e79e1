"""Generators of images that any recipe can name."""
