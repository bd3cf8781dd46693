"""How odd an item is to a trained model: scores, higher for what is less like the training items, by name."""
