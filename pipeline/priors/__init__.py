"""Smooth fills of a hole, which the generator starts from."""
