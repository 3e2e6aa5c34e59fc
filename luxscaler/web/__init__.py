"""Connections to addresses that others name: where they may go, and how long and how much they may bring."""
