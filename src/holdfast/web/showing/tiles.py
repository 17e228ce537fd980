"""Writes the tiles of the wall: state, name, age of the newest good backup, 14 days, engine.

There may be thousands of them. A template takes ten times as long for each, which was most of what
the first page cost.
"""

from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from holdfast.domain.protection import State
from holdfast.domain.units import DAY_MS
from holdfast.views.dashboard.fleet import Tile, Work
from holdfast.web.showing import charts, words

TONES = {
    State.UNPROTECTED: "bad",
    State.NO_PLAN: "none",
    State.AT_RISK: "warn",
    State.PAUSED: "pause",
    State.PROTECTED: "good",
}
WORDS = {
    State.UNPROTECTED: "Unprotected",
    State.NO_PLAN: "No plan",
    State.AT_RISK: "At risk",
    State.PAUSED: "Paused",
    State.PROTECTED: "Protected",
}
_TAGS = 3
_NO_DAYS = "[]"
_PAUSE = '<svg class="st none" aria-hidden="true"><use href="#s-pause"/></svg>'
_BUSY = '<svg class="st busy spin" aria-hidden="true"><use href="#s-busy"/></svg>'
_OUTLINES = {
    tone: f'<svg class="st {tone}" aria-hidden="true"><use href="#s-{tone}"/></svg>'
    for tone in TONES.values()
} | {"pause": _PAUSE}


def draw_wall(
    tiles: Sequence[Tile], days: Mapping[int, str], busy: Mapping[tuple[str, str], Work], now: int
) -> Markup:
    """The items of a list. `days` as JSON by key of the addon, `busy` by ids of project and
    addon."""
    today = now - now % DAY_MS
    items = [
        _item(
            tile,
            busy.get((tile.project_id, tile.id)),
            charts.history(days.get(tile.pk, _NO_DAYS), today),
            now,
        )
        for tile in tiles
    ]
    return Markup("".join(items))  # noqa: S704 - names are escaped where they are put in


def _item(tile: Tile, job: Work | None, bars: str, now: int) -> str:
    tone = TONES[tile.state]
    classes = "tile"
    if tile.tags and "sample" in tile.tags:
        classes += " sample"
    if tone in ("bad", "warn"):
        classes += f" {tone}"
    if tile.last_good is None:
        age = "none"
    else:
        age = f'{words.age(now - tile.last_good)}<span class="vh"> ago</span>'
    engine = str(escape(words.short_engine(tile.kind, tile.version)))
    work = ""
    if job is not None:
        work = f", {escape(job.kind_word)}"
        engine = engine if job.percent is None else f"at {job.percent}&nbsp;%"
    return (
        f'<li><a class="{classes}" href="/p/{escape(tile.project_id)}/{escape(tile.id)}">'
        f"{_OUTLINES[tone] if job is None else _BUSY}<b>{escape(tile.name)}</b>"
        f'<span class="age"><span class="vh">{WORDS[tile.state]}{work}, last good backup </span>'
        f'{age}</span><span class="l2"><svg class="bars" viewBox="0 0 109 12" aria-hidden="true">'
        f'{bars}</svg><span class="eng">{engine}</span></span>{_tags(tile.tags)}</a></li>'
    )


def _tags(tags: Sequence[str]) -> str:
    if not tags:
        return ""
    chips = [
        f'<span class="chip{" sample" if tag == "sample" else ""}">{escape(tag)}</span>'
        for tag in tags[:_TAGS]
    ]
    return f'<span class="tags">{"".join(chips)}</span>'
