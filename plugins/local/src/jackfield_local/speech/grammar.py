"""A finite-state grammar made from phrases, as small as it can easily be.

Phrases share their beginnings (a trie), their ends (equal states are merged) and their gaps (one copy of a slot's
grammar for each place that it leads to). The result is a list of arcs, which is what a decoder takes; no decoder here.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import Factory, define, frozen

from jackfield_local.speech.patterns import Pattern
from jackfield_local.speech.slots import Production, Rule

Symbol = str | Rule
_Futures = dict[tuple[tuple[Symbol, int], ...], int]


@frozen
class Grammar:
    """States 0 to `states` - 1 and the arcs between them; an arc without a word costs nothing."""

    start: int
    final: int
    states: int
    arcs: tuple[tuple[int, int, str | None], ...]

    def words(self) -> set[str]:
        """Return the words of the grammar."""
        return {word for _, _, word in self.arcs if word is not None}


def build(patterns: Sequence[Pattern]) -> Grammar:
    """Return the grammar that accepts what any of `patterns` says."""
    builder = _Builder()
    start = builder.state()
    final = builder.state()
    builder.add(
        [
            tuple(symbol for token in variant for symbol in _symbols(token.symbol))
            for pattern in patterns
            for variant in pattern.variants
        ],
        start,
        final,
    )
    return Grammar(start, final, builder.states, tuple(dict.fromkeys(builder.arcs)))


def _symbols(symbol: tuple[str, ...] | Rule) -> tuple[Symbol, ...]:
    return (symbol,) if isinstance(symbol, Rule) else symbol


@define
class _Node:
    ends: bool = False
    children: dict[Symbol, _Node] = Factory(dict)


@define
class _Builder:
    arcs: list[tuple[int, int, str | None]] = Factory(list)
    states: int = 0
    _entries: dict[tuple[Rule, int], int] = Factory(dict)

    def state(self) -> int:
        self.states += 1
        return self.states - 1

    def add(self, sequences: Sequence[Production], start: int, final: int) -> None:
        """Add arcs from `start` to `final` that spell each of `sequences`."""
        root = _Node()
        for sequence in sequences:
            node = root
            for symbol in sequence:
                node = node.children.setdefault(symbol, _Node())
            node.ends = bool(sequence)
        self._emit(root, start, final, {})

    def _emit(self, node: _Node, state: int, final: int, shared: _Futures) -> None:
        for symbol, target in self._targets(node, final, shared):
            if isinstance(symbol, str):
                self.arcs.append((state, target, symbol))
            else:
                self.arcs.append((state, self._entry(symbol, target), None))

    def _targets(self, node: _Node, final: int, shared: _Futures) -> list[tuple[Symbol, int]]:
        """Return where each child of `node` leads; children with the same future lead to the same state."""
        targets: list[tuple[Symbol, int]] = []
        for symbol, child in node.children.items():
            if child.ends:
                targets.append((symbol, final))
            if not child.children:
                continue
            future = tuple(dict.fromkeys(self._targets(child, final, shared)))
            if future not in shared:
                shared[future] = self.state()
                for follow, target in future:
                    entry = target if isinstance(follow, str) else self._entry(follow, target)
                    self.arcs.append((shared[future], entry, follow if isinstance(follow, str) else None))
            targets.append((symbol, shared[future]))
        return targets

    def _entry(self, rule: Rule, target: int) -> int:
        """Return the state from which `rule` leads to `target`."""
        key = (rule, target)
        if key not in self._entries:
            entry = self._entries[key] = self.state()
            end = self.state() if rule.repeat else target
            self.add(rule.productions, entry, end)
            if rule.repeat:
                self.arcs += [(end, entry, None), (end, target, None)]
        return self._entries[key]
