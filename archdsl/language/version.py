"""The version of archdsl, and of the language."""

__version__ = "0.1.0"

Version = tuple[int, int]  # compatible changes count up the second, others the first

LANGUAGE: Version = (1, 0)


def version_text(version: Version) -> str:
    """
    >>> version_text(LANGUAGE)
    '1.0'
    """
    return "{}.{}".format(*version)
