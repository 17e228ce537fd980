"""Parses paging parameters."""

from holdfast.catalog.database.page import DEFAULT_SIZE, Page
from holdfast.domain.errors import Invalid

MAX_PAGE_SIZE = 100
_LAST_PAGE = 10_000_000


def parse_page(per_page: str | None, page: str | None, cursor: str | None) -> Page:
    """Raises Invalid naming every parameter that makes no sense; sizes above 100 become 100."""
    problems: dict[str, str] = {}
    size = _positive("per_page", per_page, DEFAULT_SIZE, problems)
    number = _positive("page", page, 1, problems)
    if number > _LAST_PAGE:
        problems["page"] = f"must be at most {_LAST_PAGE}"
    if problems:
        raise Invalid("the paging parameters are not valid", problems)
    return Page(min(size, MAX_PAGE_SIZE), number, cursor)


def _positive(name: str, text: str | None, default: int, problems: dict[str, str]) -> int:
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) < 19 and int(text) >= 1:
        return int(text)
    problems[name] = "must be a whole number of at least 1"
    return default
