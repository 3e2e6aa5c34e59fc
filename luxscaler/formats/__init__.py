"""Picture files, one module per format, behind luxscaler/image.py, which is their only user.

color ← coding ← picture_file ← icc, exif, heif_boxes, sniff ← <format>_file ← linearize ← luxscaler/image.py
"""
