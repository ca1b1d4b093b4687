"""Addresses of Ray clusters, as far as can be told without Ray."""

from flawtrace.ground.errors import ArgumentError

LOCAL = "local"
"""In place of an address: start Ray here."""
AUTO = "auto"
"""In place of an address: the cluster of which this machine is a node."""
LAST_PORT = 2**16 - 1


def host_and_port(address: str) -> tuple[str, int]:
    """Where the head node of a cluster listens.

    >>> host_and_port("10.0.0.5:6379"), host_and_port("[::1]:6379")
    (('10.0.0.5', 6379), ('::1', 6379))

    Raises:
        ArgumentError: it is no address.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or "/" in host or not (port.isascii() and port.isdecimal()):
        raise ArgumentError(
            "--ray",
            f"{address!r} is not host:port.\nExpected the address of a head node, such as 10.0.0.5:6379, or "
            f"`{LOCAL}` to start Ray on this machine",
        )
    if len(port) > len(str(LAST_PORT)) or not 0 < int(port) <= LAST_PORT:
        raise ArgumentError("--ray", f"{address!r} is not host:port.\nExpected a port from 1 to {LAST_PORT}")
    return host, int(port)


def refuse_no_address(address: str) -> None:
    """Before anything starts.

    Raises:
        ArgumentError: no cluster can be called so.
    """
    if address not in (LOCAL, AUTO):
        host_and_port(address)
