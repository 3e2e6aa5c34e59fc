"""Fits the network of `hdr_boost` (luxscaler/hdr/network.py): HDR pictures under many cameras.

    .venv/bin/python -m evaluation.training PATH... [--write luxscaler/hdr/gain.safetensors]

scenes.py varies the pictures, cameras.py renders them to SDR, samples.py keeps what a step needs, visible.py
is a differentiable measure of quality, and fit.py minimises the loss.
"""
