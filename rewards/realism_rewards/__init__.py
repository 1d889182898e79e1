"""Rewards of images and metrics of sets of images that any recipe can name."""
