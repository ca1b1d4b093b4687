"""Words that depend on numbers."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun.

    >>> counted(1, "image"), counted(2, "image"), counted(0, "pass", "passes")
    ('1 image', '2 images', '0 passes')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def in_a_line(name: str) -> str:
    r"""The name of a file, with what would begin a new line by its code.

    >>> in_a_line("a\nb.png")
    'a\\nb.png'
    """
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in name)
