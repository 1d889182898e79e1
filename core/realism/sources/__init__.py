"""Where prompts and images come from: files, folders, the classes of an image set."""
