"""Training a detector for each of many products."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from flawtrace.comparison import bench
from flawtrace.data import refuse_foreign
from flawtrace.ground.devices import compute_with, ready
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.presets import load_config
from flawtrace.verbs.making import train


@dataclass(frozen=True)
class Order:
    """One product to train on, and how."""

    name: str
    """Of its folder below the root, with / between its parts."""
    folder: Path
    run: Path
    preset: str
    settings: Mapping[str, Any]
    settings_file: Path | None
    device: str
    skip_bad: bool = False


@dataclass(frozen=True)
class Product:
    """What became of one product."""

    name: str
    state: Literal["trained", "done before", "failed"]
    run: Path
    seconds: float | None = None
    """Of its training, earlier sittings included."""
    pixel_f1: float | None = None
    """On held-out labels, at the stored threshold; None where no label has a mask."""
    warnings: tuple[str, ...] = ()
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"run": str(self.run)}


@runtime_checkable
class Trainer(Protocol):
    """Trains on products somewhere."""

    def __call__(self, orders: list[Order], threads: int | None) -> Iterator[Product | str]:
        """Yields what became of each product, as it comes, and in words what it is waiting for."""


def train_all(
    root: Path | str,
    out: Path | str,
    *,
    preset: str = "light",
    settings: Mapping[str, Any] | None = None,
    settings_file: Path | None = None,
    threads: int | None = None,
    device: str = "cpu",
    skip_bad: bool = False,
    trainer: Trainer | None = None,
    progress: Callable[[Product | str], None] | None = None,
) -> list[Product]:
    """Train a detector on each product below `root`, up to three folders down; returns what became of each.

    The run of ROOT/line-1/screw lands in `out`/line-1/screw. A product whose run is finished is not trained
    again, one that was stopped goes on, and one that fails does not keep the others from being trained. With
    `skip_bad`, images that cannot be used are left out. `threads` are those of each training, by itself
    torch's own number. `trainer` says where they run: by itself here, one after the other. `progress` is told
    each product as it comes.

    Raises:
        MissingFolderError, NoCategoryError: there is nothing to train on.
        SettingsError, UnknownSettingError: the settings cannot work.
        ForeignFolderError: `out` lies in the data.
    """
    root, out = Path(root), Path(out)
    ready(device)
    load_config(preset, settings_file, settings)
    folders = bench.product_folders(root)
    for folder in folders:
        if out.resolve().is_relative_to(folder.resolve()):
            refuse_foreign(folder)
    names = {_name(root, folder): folder for folder in folders}
    orders = [
        Order(name, folder, out / name, preset, settings or {}, settings_file, device, skip_bad)
        for name, folder in names.items()
    ]
    found: dict[str, Product] = {}
    for message in (trainer or one_after_the_other)(orders, threads):
        if isinstance(message, Product):
            found[message.name] = message
        if progress:
            progress(message)
    return [found[order.name] for order in orders]


def _name(root: Path, folder: Path) -> str:
    """Below the root, or the root's own, where it is a product itself."""
    return folder.relative_to(root).as_posix() if folder != root else root.resolve().name


def one_after_the_other(orders: list[Order], threads: int | None) -> Iterator[Product | str]:
    """On this machine."""
    if threads:
        compute_with(threads)
    for order in orders:
        yield f"training {order.name}"
        yield train_product(order)


def train_product(order: Order) -> Product:
    """Train on one product; what goes wrong with it is told and not raised."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            trained = train(
                order.folder, order.run, preset=order.preset, settings=order.settings,
                settings_file=order.settings_file, resume=True, device=order.device,
                skip_bad=order.skip_bad,
            )  # fmt: skip
        except FlawtraceError as error:
            return Product(order.name, "failed", order.run, error=str(error))
    told = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    summary = trained.summary
    return Product(
        order.name,
        "trained" if trained.changes is None else "done before",
        order.run,
        round(summary["seconds"], 1),
        summary["validation"].get("pixel_f1"),
        tuple(told),
    )
