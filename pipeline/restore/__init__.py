"""The model on a user's pictures, of any size, with PyTorch or without it."""
