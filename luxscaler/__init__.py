"""LuxScaler: pictures in, larger pictures with a higher dynamic range out.

This file holds the version and nothing else, so that importing the package costs nothing.
"""

__version__ = "0.1.0"
