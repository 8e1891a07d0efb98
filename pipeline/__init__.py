"""Mendline: a reproducible pipeline that trains a GAN to restore damaged pictures."""
