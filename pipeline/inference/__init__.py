"""Pictures of any size and kind, restored by a trained generator."""
