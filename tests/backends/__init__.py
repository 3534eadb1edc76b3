"""Facts about gonogo.backends."""
