"""Which page of a TIFF is the picture: the first that is neither a reduced copy of another nor a mask.

tifffile follows the chain of pages only as far as it is asked to, so a file whose chain is a loop does no
harm.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import tifffile

_MOST_PAGES = 64
"""Pages looked at for the first full picture."""
_REDUCED, _MASK = 1, 4
"""Bits of NewSubfileType."""
_OLD_REDUCED = 2
"""Of SubfileType, which came before."""
_NEW_SUBFILE_TYPE, _SUBFILE_TYPE = 254, 255


@dataclass(frozen=True)
class Place:
    """Where the page is among those of the file."""

    index: int
    notices: tuple[str, ...]
    above: tifffile.TiffPage | None = None
    """The page below which it is, in a directory of its own (SubIFDs), as TIFF/EP has it."""


@contextmanager
def main_page(stream: BinaryIO) -> Iterator[tuple[tifffile.TiffPage, Place]]:
    """The first page that is neither a reduced copy of another nor a mask; if all are, such a one below the
    first; else the first.
    """
    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        index = next((index for index, page in enumerate(_pages(file)) if not _is_minor(page)), None)
        below = _page_below(file) if index is None else None
        if below is not None:
            said = "page 1 is a reduced copy; the picture in a directory below it is read"
            yield below, Place(0, (said,), _page(file, 0))
        else:
            yield _page(file, index or 0), Place(index or 0, _said(file, index or 0))


def _page_below(file: tifffile.TiffFile) -> tifffile.TiffPage | None:
    """The first full picture in the directories below the first page."""
    try:
        pages = _page(file, 0).pages
        found = [pages[number] for number in range(min(len(pages), _MOST_PAGES))] if pages else []
    except Exception:  # damage below does not cost the page; tifffile raises many kinds
        return None
    return next((page for page in found if isinstance(page, tifffile.TiffPage) and not _is_minor(page)), None)


def _page(file: tifffile.TiffFile, index: int) -> tifffile.TiffPage:
    page = file.pages.first if index == 0 else file.pages[index]
    assert isinstance(page, tifffile.TiffPage)  # noqa: S101 - frames come only where they are asked for
    return page


def _pages(file: tifffile.TiffFile) -> Iterator[tifffile.TiffPage]:
    """Page by page, up to where the chain is damaged or comes back."""
    seen: set[int] = set()
    for index in range(_MOST_PAGES):
        try:
            page = _page(file, index)
        except Exception:  # tifffile raises many kinds
            if index == 0:
                raise
            return
        if page.offset in seen:
            return
        seen.add(page.offset)
        yield page


def _is_minor(page: tifffile.TiffPage) -> bool:
    new, old = page.tags.valueof(_NEW_SUBFILE_TYPE), page.tags.valueof(_SUBFILE_TYPE)
    return (isinstance(new, int) and bool(new & (_REDUCED | _MASK))) or old == _OLD_REDUCED


def _said(file: tifffile.TiffFile, index: int) -> tuple[str, ...]:
    if index:
        return (f"page {index + 1} is read: those before it are reduced copies or masks",)
    try:
        first, second = _page(file, 0), _page(file, 1)
    except Exception:  # a damaged second page does not matter
        return ()
    said = "the first of several pages is read"
    if second.imagewidth * second.imagelength > first.imagewidth * first.imagelength:
        sizes = [f"{page.imagewidth} × {page.imagelength}" for page in (first, second)]
        said += f", of {sizes[0]}; the second has {sizes[1]}, so the first may be a thumbnail"
    return (said,)
