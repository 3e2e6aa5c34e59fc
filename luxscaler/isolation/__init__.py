"""Untrusted bytes are decoded in child processes under limits."""
