"""Gates over evidence: what lets a candidate through, and what does not."""
