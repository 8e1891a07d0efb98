"""Generator against discriminator, step by step."""
