"""Measures `hdr_boost` on real HDR pictures: SDR renderings of each, expanded again, against the original.

`python -m evaluation FOLDER`, or ./scripts/evaluate-hdr, which also makes the environment. Not part of the
package that is installed, nor of the container.
"""
