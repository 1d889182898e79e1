"""One linear file for each miniature: data, model, training, held-out figures, card."""
