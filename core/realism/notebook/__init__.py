"""Parts and runs without a recipe, for notebooks and scripts: plain texts, images, paths and arrays are taken."""
