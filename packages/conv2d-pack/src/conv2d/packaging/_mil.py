"""Evaluate a MIL program in numpy, operation by operation: what Core ML would compute, where Core ML cannot run.

References
----------
Apple, "MIL Ops" reference of coremltools 9: the operations' arguments and defaults.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Operation = Callable[[Mapping[str, Any]], Array]


def evaluate(program: Any, windows: NDArray[np.float32]) -> dict[str, Array]:
    """Return the outputs (n, …) of a program with batch 1 for each window.

    Raises
    ------
    NotImplementedError
        An operation is not known here; nothing is then said about the program.
    """
    function = program.functions["main"]
    (source,) = function.inputs
    parts: dict[str, list[Array]] = {output.name: [] for output in function.outputs}
    for index in range(len(windows)):
        values: dict[str, Any] = {source: windows[index : index + 1]}
        for operation in function.operations:
            if operation.op_type == "const":
                continue
            if operation.op_type not in OPERATIONS:
                raise NotImplementedError(f"the MIL operation {operation.op_type} is not known to the evaluation")
            arguments = {name: _value(given, values) for name, given in operation.inputs.items()}
            result = OPERATIONS[operation.op_type](arguments)
            (output,) = operation.outputs
            if tuple(result.shape) != tuple(output.shape):
                raise ValueError(
                    f"{operation.op_type} {operation.name} gives {result.shape}, declared is {output.shape}"
                )
            values[output.name] = result
        for name, collected in parts.items():
            collected.append(values[name])
    return {name: np.concatenate(collected) for name, collected in parts.items()}


def _value(given: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(given, list | tuple):
        return [_value(one, values) for one in cast("list[Any]", given)]
    if given.name in values:
        return values[given.name]
    return given.val


def _padded(x: Array, given: Mapping[str, Any], fill: float) -> Array:
    if given["pad_type"] == "custom":
        top, bottom, left, right = (int(n) for n in given["pad"])
    elif given["pad_type"] == "valid":
        top = bottom = left = right = 0
    else:
        raise NotImplementedError(f"the padding {given['pad_type']} is not known to the evaluation")
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)


def _windows(x: Array, size: Any, strides: Any) -> Array:
    view = np.lib.stride_tricks.sliding_window_view(x, tuple(int(n) for n in size), axis=(2, 3))  # type: ignore[call-overload]
    return view[:, :, :: int(strides[0]), :: int(strides[1])]


def _conv(given: Mapping[str, Any]) -> Array:
    weight = given["weight"]
    if int(given["groups"]) != 1 or set(np.asarray(given["dilations"]).tolist()) != {1}:
        raise NotImplementedError("grouped or dilated convolutions are not known to the evaluation")
    patches = _windows(_padded(given["x"], given, 0.0), weight.shape[2:], given["strides"])
    result = np.einsum("nchwij,ocij->nohw", patches, weight, optimize=True)
    bias = given.get("bias")
    return result if bias is None else result + bias[:, None, None]


def _max_pool(given: Mapping[str, Any]) -> Array:
    return _windows(_padded(given["x"], given, -np.inf), given["kernel_sizes"], given["strides"]).max(axis=(4, 5))


def _avg_pool(given: Mapping[str, Any]) -> Array:
    sums: Array = _windows(_padded(given["x"], given, 0.0), given["kernel_sizes"], given["strides"]).sum(axis=(4, 5))
    counted = np.ones_like(given["x"])
    if not given["exclude_padding_from_average"]:
        return sums / np.float32(int(given["kernel_sizes"][0]) * int(given["kernel_sizes"][1]))
    counts = _windows(_padded(counted, given, 0.0), given["kernel_sizes"], given["strides"]).sum(axis=(4, 5))
    return sums / counts


def _linear(given: Mapping[str, Any]) -> Array:
    result = given["x"] @ given["weight"].T
    return result if given.get("bias") is None else result + given["bias"]


def _matmul(given: Mapping[str, Any]) -> Array:
    x = np.swapaxes(given["x"], -1, -2) if given.get("transpose_x") else given["x"]
    y = np.swapaxes(given["y"], -1, -2) if given.get("transpose_y") else given["y"]
    return x @ y


def _cast(given: Mapping[str, Any]) -> Array:
    return np.asarray(given["x"]).astype({"fp32": np.float32, "int32": np.int32, "bool": np.bool_}[str(given["dtype"])])


def _gather(given: Mapping[str, Any]) -> Array:
    return np.take(given["x"], np.asarray(given["indices"]), axis=int(given["axis"]))


def _reduce(over: Callable[..., Any]) -> Operation:
    return lambda g: over(g["x"], axis=tuple(int(a) for a in g["axes"]), keepdims=bool(g["keep_dims"]))


def _two(over: Callable[[Any, Any], Any]) -> Operation:
    return lambda g: np.asarray(over(g["x"], g["y"]))


OPERATIONS: Mapping[str, Operation] = {
    "abs": lambda g: np.abs(g["x"]),
    "add": _two(np.add),
    "avg_pool": _avg_pool,
    "cast": _cast,
    "clip": lambda g: np.clip(g["x"], g["alpha"], g["beta"]),
    "concat": lambda g: np.concatenate(g["values"], axis=int(g["axis"])),
    "conv": _conv,
    "equal": _two(np.equal),
    "expand_dims": lambda g: np.expand_dims(g["x"], tuple(int(a) for a in g["axes"])),
    "floor": lambda g: np.floor(g["x"]),
    "gather": _gather,
    "greater": _two(np.greater),
    "greater_equal": _two(np.greater_equal),
    "identity": lambda g: g["x"],
    "less": _two(np.less),
    "linear": _linear,
    "matmul": _matmul,
    "max_pool": _max_pool,
    "mul": _two(np.multiply),
    "not_equal": _two(np.not_equal),
    "real_div": _two(np.divide),
    "reduce_max": _reduce(np.max),
    "reduce_mean": _reduce(np.mean),
    "relu": lambda g: np.maximum(g["x"], np.float32(0)),
    "reshape": lambda g: g["x"].reshape(tuple(int(n) for n in g["shape"])),
    "round": lambda g: np.rint(g["x"]),
    "select": lambda g: cast("Array", np.where(g["cond"], g["a"], g["b"])),
    "sign": lambda g: np.sign(g["x"]),
    "squeeze": lambda g: np.squeeze(g["x"], tuple(int(a) for a in g["axes"])),
    "sub": _two(np.subtract),
    "tanh": lambda g: np.tanh(g["x"]),
    "transpose": lambda g: np.transpose(g["x"], tuple(int(a) for a in g["perm"])),
}
