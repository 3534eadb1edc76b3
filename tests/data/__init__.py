"""Tests of gonogo.data."""
