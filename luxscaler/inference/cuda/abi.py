"""What the kernels are told, as C structures: field by field what convolution.cuh and ends.cuh declare.

Addresses are plain numbers: whoever fills in a job keeps the tensors alive. Strides are in elements. That the
sizes agree is checked when the program is compiled (kernel_source.py); this module knows no tensors.
"""

from ctypes import Structure, c_float, c_int, c_longlong, c_void_p


class ConvolutionJob(Structure):
    """`Convolution` of convolution.cuh."""

    _fields_ = [
        ("head", c_void_p),
        ("tail", c_void_p),
        ("weights", c_void_p),
        ("bias", c_void_p),
        ("inner", c_void_p),
        ("outer", c_void_p),
        ("target", c_void_p),
        ("source_stride", c_longlong),
        ("target_stride", c_longlong),
        ("head_planes", c_int),
        ("chunks", c_int),
        ("rows", c_int),
        ("columns", c_int),
        ("first", c_int),
        ("last", c_int),
        ("leaky", c_int),
        ("upwards", c_int),
        ("inner_scale", c_float),
        ("outer_scale", c_float),
    ]


class FirstJob(Structure):
    """`FirstConvolution` of ends.cuh."""

    _fields_ = [
        ("source", c_void_p),
        ("weights", c_void_p),
        ("bias", c_void_p),
        ("target", c_void_p),
        ("target_stride", c_longlong),
        ("inputs", c_int),
        ("rows", c_int),
        ("columns", c_int),
    ]


class LastJob(Structure):
    """`LastConvolution` of ends.cuh."""

    _fields_ = [
        ("source", c_void_p),
        ("weights", c_void_p),
        ("bias", c_void_p),
        ("target", c_void_p),
        ("source_stride", c_longlong),
        ("target_stride", c_longlong),
        ("offset", c_longlong),
        ("chunks", c_int),
        ("rows", c_int),
        ("columns", c_int),
        ("first", c_int),
        ("last", c_int),
    ]


Job = ConvolutionJob | FirstJob | LastJob
STRUCTURES = {"Convolution": ConvolutionJob, "FirstConvolution": FirstJob, "LastConvolution": LastJob}
"""By their names in the kernels' sources."""
