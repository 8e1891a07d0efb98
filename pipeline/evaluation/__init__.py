"""The generator beside classical methods on the test pairs: tables, figures, model card."""
