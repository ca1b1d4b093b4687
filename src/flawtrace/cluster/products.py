"""Trains on many products on a cluster, each in a task of its own."""

from collections.abc import Iterator
from dataclasses import dataclass

from flawtrace.cluster.connecting import Needs, refuse_if_nowhere
from flawtrace.cluster.tasks import Finished, as_they_finish, wait_until_free
from flawtrace.ground.wording import counted
from flawtrace.verbs import Order, Product, train_product


@dataclass(frozen=True)
class Trainings:
    """A `Trainer` for `flawtrace.train_all`, to be called while this process is `connected`."""

    memory: float = 4.0
    """GB that each training occupies."""

    def __call__(self, orders: list[Order], threads: int | None) -> Iterator[Product | str]:
        """Train on all products, with one thread each unless `threads` says otherwise.

        A training whose process dies goes on elsewhere, from its checkpoint.

        Raises:
            NoRoomError: no node is large enough for a training.
        """
        gpus = any(order.device.startswith("cuda") for order in orders)
        needs = Needs(threads or 1, self.memory, int(gpus))
        refuse_if_nowhere(needs)
        by_name = {order.name: order for order in orders}
        tasks = {name: (order,) for name, order in by_name.items()}
        for message in as_they_finish(_train, tasks, needs, "train"):
            if isinstance(message, Finished):
                run = by_name[message.key].run
                yield message.result or Product(message.key, "failed", run, error=message.lost)
            else:
                yield _waiting_for(message.key, message.left)


def _waiting_for(name: str, left: int) -> str:
    """One of the products that are left, and how many these are.

    >>> _waiting_for("screw", 3), _waiting_for("screw", 1)
    ('3 products left, screw among them', '1 product left: screw')
    """
    return f"{counted(left, 'product')} left" + (f", {name} among them" if left > 1 else f": {name}")


def _train(order: Order) -> Product:
    """In a process of a node."""
    wait_until_free(order.run)
    return train_product(order)
