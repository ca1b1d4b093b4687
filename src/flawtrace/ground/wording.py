"""Words that depend on numbers."""

from collections.abc import Iterable


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun.

    >>> counted(1, "image"), counted(2, "image"), counted(0, "pass", "passes")
    ('1 image', '2 images', '0 passes')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def listed(words: Iterable[str], link: str = "and", limit: int = 8) -> str:
    """Some of them in a sentence, with how many more there are.

    >>> listed("abc"), listed("ab", "or"), listed("abcde", limit=2)
    ('a, b and c', 'a or b', 'a, b and 3 more')
    """
    every = list(words)
    shown = every if len(every) <= limit else [*every[:limit], f"{len(every) - limit} more"]
    last = f" {'and' if len(every) > limit else link} "
    return last.join(filter(None, (", ".join(shown[:-1]), shown[-1] if shown else "")))


def in_a_line(name: str) -> str:
    r"""The name of a file, with what would begin a new line by its code.

    >>> in_a_line("a\nb.png")
    'a\\nb.png'
    """
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in name)
