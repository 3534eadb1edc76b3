"""Simulated worlds whose truth is known: does each interval hold it, does each test keep its level, is each promise kept?"""
