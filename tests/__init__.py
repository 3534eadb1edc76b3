"""Facts about gonogo; the folders mirror src/gonogo."""
