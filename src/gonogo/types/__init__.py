"""The nouns: records and promises, no input or output."""
