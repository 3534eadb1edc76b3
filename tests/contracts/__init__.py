"""What every adapter and plugin promises, as suites to inherit from."""
