"""What can be wrong with an address to which something is sent."""

from flawtrace.ground.errors import FlawtraceError


class AddressError(FlawtraceError):
    def __init__(self, flag: str, address: str) -> None:
        """`address` without what may be secret in it."""
        super().__init__(
            f"Cannot use {flag} {address}.\n"
            "Expected an address that begins with http:// or https://, in plain characters, and without a "
            "name or password before the host.\n"
            f"For example: {flag} http://127.0.0.1:8321"
        )


class NoSecretError(FlawtraceError):
    def __init__(self, variable: str) -> None:
        super().__init__(
            "Whoever hears of verdicts could not tell ours from others'.\n"
            f"Expected a secret in the environment variable {variable}, by which they are signed.\n"
            f"For example: export {variable}=$(openssl rand -hex 32), and give it to the receiver too."
        )
