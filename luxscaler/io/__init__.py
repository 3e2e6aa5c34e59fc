"""Every file format, its reader and its writer side by side. `read` and `write` are the front doors.

reading:  sniff → FORMAT/read → linearize → Picture       writing:  checks → sdr or pq → FORMAT/write
in memory:  arrays, pil → linearize → Picture → sdr → pil
"""
