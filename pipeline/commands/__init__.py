"""What users type besides the stages."""
