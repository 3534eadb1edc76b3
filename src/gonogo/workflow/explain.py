"""What does a code mean, why does it matter, and what is to be done?

The pages are Markdown files inside the package, one per code, and `contract`, the reference of the contract's keys.
"""

from __future__ import annotations

import difflib
from importlib.resources import files

from gonogo.types.errors import UnknownCode

_FOLDER = "explain"


def explain(code: str) -> str:
    """The page of a code, as Markdown; `contract` is the reference of contract.toml.

    Case and the leading GNG- may be left out. Raises UnknownCode, naming the nearest codes.

    >>> explain("d002").splitlines()[0]
    '# GNG-D002: a source cannot be read'
    """
    page = _pages().get(code.strip().casefold().removeprefix("gng-"))
    if page is None:
        raise _unknown(code)
    return (files("gonogo") / _FOLDER / f"{page}.md").read_text(encoding="utf-8")


def codes() -> tuple[str, ...]:
    """Every code that has a page, sorted."""
    return tuple(sorted(_pages().values()))


def title(code: str) -> str:
    """The first line of a code's page, without its mark."""
    return explain(code).split("\n", 1)[0].removeprefix("# ")


def _pages() -> dict[str, str]:
    """Code as a person may type it → the page's name."""
    names = (entry.name for entry in (files("gonogo") / _FOLDER).iterdir())
    pages = [name.removesuffix(".md") for name in names if name.endswith(".md")]
    return {page.casefold().removeprefix("gng-"): page for page in sorted(pages)}


def _unknown(code: str) -> UnknownCode:
    pages = _pages()
    near = [pages[name] for name in difflib.get_close_matches(code.strip().casefold().removeprefix("gng-"), pages, n=3, cutoff=0.4)]
    return UnknownCode(
        f"there is no page for {code!r}.",
        found=code,
        expected="one of " + ", ".join(near or codes()),
        next=f"gonogo explain {near[0]}" if near else "gonogo explain contract",
    )
