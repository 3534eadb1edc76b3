"""Statistics: arrays in, records out. Every figure with an interval, or a refusal."""
