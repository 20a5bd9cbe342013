"""The few words that a rule takes for one another, and those that say nothing.

Kept small on purpose: what is here is guessed for every agent.
"""

from __future__ import annotations

from collections.abc import Mapping

from jackfield_local.speech.spoken import words


def word_set(text: str) -> frozenset[str]:
    """Return the words of `text`, which has spaces between them."""
    return frozenset(text.split())


GENERIC = word_set(
    "get fetch look up lookup find search check read show tell give retrieve list query do run call handle make"
    " transfer to handoff hand off agent assistant specialist department team tool function"
    " current info information details data user customer request from by for the a of in on"
)
"""Words of a tool's name that don't say what it is about."""

ACTIONS = word_set(
    "book reserve cancel send play set turn create add order call open close start stop schedule make switch change"
    " update delete remove buy convert translate remind lock unlock pause rent hire pay transfer refund"
)
"""Verbs that a tool's name may begin with and that people use themselves: "book a table", unlike "get the weather"."""

EMPTY = word_set(
    "a an the of in on at to for from by with about into is are was were be been it its this that these those and or"
    " i me my mine you your yours we us our they them he she his her please can could would will shall should may"
    " might must do does did have has had like want need get got give given tell let know what which who when where"
    " how why there here some any all not no yes if then so as than up out just also i'd i'm i'll what's it's use"
    " used using name value string number tool function agent handle handles handoff transfer request user customer"
    " e g example one optional return returns current"
)
"""Words of speech and of descriptions that don't tell one tool from another."""

_FAMILIES = {
    "weather": "forecast temperature rain raining rainy sunny sun snow snowing hot cold umbrella warm degrees windy",
    "order": "parcel package delivery shipment purchase",
    "book": "reserve reservation booking reservations",
    "hour": "open opening opened close closing closed hours",
    "refund": "refunds money reimburse reimbursement",
    "billing": "bill bills invoice invoices charge charged charges payment payments",
    "price": "cost costs price prices expensive",
    "cancel": "cancellation delete remove",
    "support": "technical broken working technician repair",
    "human": "person operator representative someone",
    "light": "lamp lamps lights",
    "music": "song songs jazz blues",
    "flight": "fly plane flights flying",
    "appointment": "meeting schedule calendar",
    "message": "text email mail",
    "remind": "reminder reminders",
    "translate": "translation",
    "sale": "buy purchase sales",
}
_CANONICAL: Mapping[str, str] = {
    word: family for family, members in _FAMILIES.items() for word in (family, *members.split())
}


def stem(word: str) -> str:
    """Return the family or the stem of a word: equal for words that may stand for one another."""
    if word in _CANONICAL:
        return _CANONICAL[word]
    for suffix, ending in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("s", "")):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3 and not word.endswith("ss"):
            root = word[: len(word) - len(suffix)] + ending
            return _CANONICAL.get(root, root)
    return word


def content_words(text: str) -> list[str]:
    """Return the words of `text` that carry meaning, in order."""
    return [word for word in words(text) if word not in EMPTY]
