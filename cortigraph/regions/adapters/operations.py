"""Operations: what the program of a region may do. Names in data are looked up here, and nowhere else.

Every one computes tensors from tensors. None reads or writes files, names memory by its address, or calls back.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from cortigraph.graph.errors import InputError

__all__ = ["ATEN", "SCALAR", "operation"]

_LAYERS = """
linear bilinear embedding embedding_bag conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
convolution _convolution batch_norm layer_norm group_norm instance_norm rms_norm native_batch_norm native_layer_norm
native_group_norm scaled_dot_product_attention lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell
rnn_relu_cell dropout dropout_ alpha_dropout alpha_dropout_ feature_dropout feature_dropout_ feature_alpha_dropout
native_dropout max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d 
max_pool2d_with_indices max_pool3d_with_indices max_pool1d_with_indices pixel_shuffle pixel_unshuffle channel_shuffle
upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d upsample_bicubic2d
upsample_trilinear3d _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_bilinear2d_aa _upsample_bicubic2d_aa
grid_sampler affine_grid_generator im2col col2im unfold cosine_similarity pairwise_distance
cdist one_hot pad constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d _weight_norm
stft istft fft_rfft fft_irfft fft_rfft2 fft_irfft2 fft_fft fft_ifft fft_fft2 fft_ifft2 view_as_real view_as_complex
real imag conj _conj resolve_conj angle
"""
_POINTWISE = """
add add_ sub sub_ rsub mul mul_ div div_ floor_divide remainder fmod pow pow_ neg neg_ abs abs_ absolute sign sgn
reciprocal sqrt sqrt_ rsqrt square exp exp_ exp2 expm1 log log_ log2 log10 log1p sin cos tan asin acos atan atan2 sinh
cosh tanh tanh_ asinh acosh atanh erf erfc erfinv sigmoid sigmoid_ log_sigmoid logit floor ceil round trunc frac clamp
clamp_ clamp_min clamp_min_ clamp_max clamp_max_ clip clip_ minimum maximum fmin fmax lerp lerp_ addcmul addcmul_
addcdiv addcdiv_ hypot lgamma digamma true_divide xlogy logaddexp nan_to_num heaviside softplus relu relu_
relu6 relu6_ elu elu_ selu selu_ celu celu_ gelu gelu_ silu silu_ mish mish_ hardtanh hardtanh_ hardswish hardswish_
hardsigmoid hardsigmoid_ leaky_relu leaky_relu_ prelu rrelu rrelu_with_noise threshold threshold_ softshrink hardshrink
glu eq ne lt le gt ge isnan isinf isfinite logical_and logical_or logical_not logical_xor bitwise_and bitwise_or
bitwise_not bitwise_xor __and__ __or__ __xor__ __lshift__ __rshift__ where masked_fill masked_fill_ sinc
"""
_REDUCTIONS = """
sum mean var std var_mean std_mean prod amax amin max min argmax argmin any all norm linalg_vector_norm linalg_norm
frobenius_norm logsumexp softmax log_softmax _softmax _log_softmax cumsum cumsum_ cumprod logcumsumexp cummax cummin
median sort argsort topk kthvalue count_nonzero 
"""
_PRODUCTS = """
matmul mm bmm addmm addmm_ baddbmm addbmm mv addmv dot outer ger inner einsum tensordot kron linalg_matmul
linalg_multi_dot cross linalg_cross diag diagonal diag_embed trace tril triu tril_indices triu_indices
"""
_SHAPES = """
view reshape reshape_as view_as flatten unflatten squeeze squeeze_ unsqueeze unsqueeze_ transpose transpose_ permute t
t_ movedim moveaxis swapaxes swapdims numpy_T mT contiguous clone detach detach_ alias lift lift_fresh lift_fresh_copy
expand expand_as broadcast_to broadcast_tensors repeat repeat_interleave tile cat concat concatenate stack hstack
vstack dstack split split_with_sizes chunk tensor_split unbind unsafe_split unsafe_chunk select slice narrow index
index_select gather take_along_dim scatter scatter_ scatter_add scatter_add_ index_add index_add_ index_copy
index_copy_ index_fill index_put index_put_ masked_scatter select_scatter slice_scatter diagonal_scatter roll flip
fliplr flipud rot90 meshgrid atleast_1d atleast_2d atleast_3d copy copy_ to _to_copy type_as 
fill fill_ zero zero_ zeros zeros_like ones ones_like full full_like new_zeros new_ones new_full new_empty empty
empty_like arange linspace eye scalar_tensor sym_size sym_numel sym_stride searchsorted bucketize bincount
"""
_RANDOM = "rand rand_like randn randn_like bernoulli bernoulli_ normal_ uniform_ randint randperm new_empty_strided"

ATEN = frozenset(" ".join((_LAYERS, _POINTWISE, _REDUCTIONS, _PRODUCTS, _SHAPES, _RANDOM)).split())

# Arithmetic on sizes, where the size of an axis is known only when the program is run.
SCALAR: dict[str, Callable[..., Any]] = {
    "getitem": operator.getitem,
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": operator.floordiv,
    "truediv": operator.truediv,
    "mod": operator.mod,
    "neg": operator.neg,
    "pow": operator.pow,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "sym_max": torch.sym_max,
    "sym_min": torch.sym_min,
    "sym_int": torch.sym_int,
    "sym_float": torch.sym_float,
    "sym_not": torch.sym_not,
}


@cache
def operation(name: str) -> Callable[..., Any]:
    """The function of an operation.

    Args:
        name: `aten.conv2d.default`, or `size.mul` for arithmetic on sizes.

    Raises:
        InputError: It is not one of those that a program may use.

    Example:
        >>> int(operation("size.mul")(3, 4))
        12
        >>> operation("aten.from_file.default")
        Traceback (most recent call last):
        cortigraph.graph.errors.InputError: the operation 'aten.from_file.default' may not be used in a region
    """
    family, _, rest = name.partition(".")
    if family == "size" and rest in SCALAR:
        return SCALAR[rest]
    packet, _, overload = rest.partition(".")
    if family == "aten" and packet in ATEN and "out" not in overload.split("_"):
        found = getattr(torch.ops.aten, packet, None)
        if found is not None and overload in found.overloads():
            function: Callable[..., Any] = getattr(found, overload)
            return function
    raise InputError(f"the operation {name!r} may not be used in a region")
