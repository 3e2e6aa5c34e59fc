"""The kernels' arguments as C structures: field by field the structs of convolution.cuh and ends.cuh.

Addresses are plain numbers: the caller that fills in a structure must keep the tensors alive. Strides are in
elements. A static assertion checks the sizes against the C++ structs (kernel_source.py).
"""

from ctypes import Structure, c_float, c_int, c_longlong, c_void_p


class ConvolutionArguments(Structure):
    """Declared in convolution.cuh, where each field is explained."""

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
        ("both", c_int),
        ("rows", c_int),
        ("columns", c_int),
        ("first", c_int),
        ("last", c_int),
        ("leaky", c_int),
        ("upwards", c_int),
        ("inner_scale", c_float),
        ("outer_scale", c_float),
        ("unscale", c_float),
    ]


class FirstConvolutionArguments(Structure):
    """Declared in ends.cuh."""

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


class LastConvolutionArguments(Structure):
    """Declared in ends.cuh."""

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


KernelArguments = ConvolutionArguments | FirstConvolutionArguments | LastConvolutionArguments
STRUCTURES = (ConvolutionArguments, FirstConvolutionArguments, LastConvolutionArguments)
"""Each has the name of its struct."""
