"""Training data: rendered pairs, crops and windows, and the batches drawn from them."""
