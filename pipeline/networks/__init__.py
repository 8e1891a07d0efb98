"""Generators and discriminators, and their weights on disk."""
