"""What restorations are scored by."""
