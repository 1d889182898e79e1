"""Retrievers and indexes that any recipe can name."""
