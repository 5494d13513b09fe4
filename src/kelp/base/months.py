"""Month names as locales write them: English, and the languages that logs are met in most."""

from __future__ import annotations

# By their beginnings: English, German, French, Spanish, Italian, Portuguese, Dutch, Polish,
# Russian, Swedish, Czech. The longest that fits is taken.
_BEGINNINGS = tuple(
    (beginning, month)
    for month, beginnings in enumerate(
        (
            "jan jän gen ene janv sty янв led",
            "feb fév fev févr lut фев úno",
            "mar mär mrt maa мар bře",
            "apr avr abr kwi апр dub",
            "may mai maj mag mei мая май kvě",
            "jun juin giu czerw cze июн červn čvn",
            "jul juil lug lip июл červe čvc",
            "aug aoû ago aou sie авг srp",
            "sep set wrz сен zář",
            "oct okt ott out paź окт říj",
            "nov lis ноя",
            "dec dez déc dic gru дек pro",
        ),
        start=1,
    )
    for beginning in beginnings.split()
)
_BY_LENGTH = sorted(_BEGINNINGS, key=lambda pair: -len(pair[0]))


def month_of(word: str) -> int | None:
    """The month that a word in lower case names; None for none."""
    return next((month for beginning, month in _BY_LENGTH if word.startswith(beginning)), None)
