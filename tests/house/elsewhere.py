"""A device that is not there: tensors that say they are on it, and refuse to be mixed with others.

They compute on the processor, so the results are the same; what an accelerator would refuse, they refuse.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

ELSEWHERE = torch.device("lazy", 0)
"""A device that torch knows of and on which it can build no tensor itself."""

CROSSING = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
INDEXING = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
}
"""Their indices may be on the processor."""
JOINING = {torch.ops.aten.cat.default, torch.ops.aten.stack.default}
"""They take no scalars of another device, which arithmetic does."""
ASKING = {torch.ops.aten._local_scalar_dense.default}


class Away(Tensor):
    """A tensor elsewhere; `here` holds its numbers."""

    here: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, here: Tensor) -> "Away":
        return Tensor._make_wrapper_subclass(  # type: ignore[attr-defined, no-any-return]
            cls,
            here.shape,
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=ELSEWHERE,
        )

    def __init__(self, here: Tensor) -> None:
        self.here = here

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["here"], None

    @staticmethod
    def __tensor_unflatten__(inner: Mapping[str, Tensor], *_: object) -> "Away":
        return Away(inner["here"])

    @classmethod
    def __torch_dispatch__(cls, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operation on the processor, if an accelerator would do it."""
    leaves = tree_leaves((args, kwargs))
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    away = [tensor for tensor in tensors if isinstance(tensor, Away)]
    refuse_mixture(func, tensors, away)
    if away and any(isinstance(leaf, Generator) for leaf in leaves):
        raise RuntimeError(f"{func}: a generator of the processor draws numbers elsewhere")
    device = kwargs.get("device")
    ends_away = bool(away) if device is None else device == ELSEWHERE
    if func is torch.ops.aten.copy_.default:
        ends_away = isinstance(args[0], Away)
    if device is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    result = func(*tree_map(brought, args), **tree_map(brought, kwargs))
    if not ends_away or func in ASKING:
        return result
    sent = tree_map(lambda leaf: Away(leaf) if isinstance(leaf, Tensor) else leaf, result)
    return return_and_correct_aliasing(func, args, kwargs, sent)


def refuse_mixture(func: Any, tensors: list[Tensor], away: list[Away]) -> None:
    here = [tensor for tensor in tensors if not isinstance(tensor, Away)]
    if func not in JOINING:
        here = [tensor for tensor in here if tensor.dim()]
    indexed = func in INDEXING and isinstance(tensors[0], Away)
    if away and here and func not in CROSSING and not indexed:
        shapes = [(type(tensor).__name__, *tensor.shape) for tensor in tensors]
        raise RuntimeError(f"{func}: tensors on two devices, {shapes}")


def brought(leaf: Any) -> Any:
    return leaf.here if isinstance(leaf, Away) else leaf


class Operations(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


class Constructors(TorchFunctionMode):
    """What makes tensors of numbers, or numbers of tensors, goes past the operations."""

    def __torch_function__(
        self, func: Callable[..., Any], _types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        device = kwargs.get("device")
        if func in (torch.tensor, torch.as_tensor) and device is not None and device == ELSEWHERE:
            return func(*args, **kwargs | {"device": "cpu"}).to(ELSEWHERE)
        if func is Tensor.tolist:
            return brought(args[0]).tolist()
        return func(*args, **kwargs)


@contextmanager
def elsewhere() -> Iterator[str]:
    """Inside, there is one device more; gives its name."""
    with Operations(), Constructors():
        yield str(ELSEWHERE)
