"""Which nodes of a graph should share a precision, so that the fewest bytes pass through casts.

Some nodes must stay in float32, some should be narrow, most of the rest (a reshape, a slice) can be either. Putting a
cast wherever two of them meet is the naive way, and every cast may be a kernel of its own. The cheapest division is a
minimum cut: float32 is the source's side, the narrow type the sink's, a cast is an edge that is cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

UNCUTTABLE = 1 << 60


@dataclass(frozen=True)
class Link:
    """A tensor between nodes: the vertex that makes it, those that read it, and the cost of casting it once."""

    producer: int
    consumers: tuple[int, ...]
    cast_cost: int


def wide_side(
    vertices: int, must_be_wide: Iterable[int], cost_of_wide: Mapping[int, int], links: Sequence[Link]
) -> set[int]:
    """The vertices that stay in float32 in the cheapest division; of equally cheap ones, that with the fewest.

    Args:
        vertices: how many there are; they are numbered from 0.
        must_be_wide: those that stay in float32 whatever it costs.
        cost_of_wide: what it costs to keep a vertex in float32, where it costs anything.
        links: the tensors. One cast serves every reader on the other side, so each link costs at most once each way.
    """
    source, sink = vertices, vertices + 1
    flow = _Flow(vertices + 2 + 2 * len(links))
    for vertex in must_be_wide:
        flow.edge(source, vertex, UNCUTTABLE)
    for vertex, cost in cost_of_wide.items():
        flow.edge(vertex, sink, cost)
    for number, link in enumerate(links):
        narrowed, widened = vertices + 2 + 2 * number, vertices + 3 + 2 * number
        flow.edge(link.producer, narrowed, link.cast_cost)
        flow.edge(widened, link.producer, link.cast_cost)
        for consumer in link.consumers:
            flow.edge(narrowed, consumer, UNCUTTABLE)
            flow.edge(consumer, widened, UNCUTTABLE)
    return {vertex for vertex in flow.source_side(source, sink) if vertex < vertices}


class _Flow:
    """Dinic's maximum flow: layers by breadth first search, blocking flows by depth first search."""

    def __init__(self, vertices: int) -> None:
        self._edges: list[list[int]] = [[] for _ in range(vertices)]
        self._head: list[int] = []
        self._room: list[int] = []

    def edge(self, start: int, end: int, capacity: int) -> None:
        """Add an edge, and its reverse without capacity; the two are neighbours in the arrays."""
        self._edges[start].append(len(self._head))
        self._edges[end].append(len(self._head) + 1)
        self._head += [end, start]
        self._room += [capacity, 0]

    def source_side(self, source: int, sink: int) -> set[int]:
        """What the source still reaches once the flow is at its maximum."""
        while sink in (level := self._levels(source)):
            untried = [list(edges) for edges in self._edges]
            while path := self._path(source, sink, level, untried):
                amount = min(self._room[edge] for edge in path)
                for edge in path:
                    self._room[edge] -= amount
                    self._room[edge ^ 1] += amount
        return set(level)

    def _levels(self, source: int) -> dict[int, int]:
        level, queue = {source: 0}, deque([source])
        while queue:
            vertex = queue.popleft()
            for edge in self._edges[vertex]:
                if self._room[edge] and self._head[edge] not in level:
                    level[self._head[edge]] = level[vertex] + 1
                    queue.append(self._head[edge])
        return level

    def _path(self, source: int, sink: int, level: Mapping[int, int], untried: Sequence[list[int]]) -> list[int]:
        """Edges of one path through the layers that has room; empty where there is none left."""
        path: list[int] = []
        vertex = source
        while vertex != sink:
            if not untried[vertex]:
                if not path:
                    return []
                vertex = self._head[path.pop() ^ 1]
                untried[vertex].pop()
                continue
            edge = untried[vertex][-1]
            if self._room[edge] and level.get(self._head[edge]) == level[vertex] + 1:
                path.append(edge)
                vertex = self._head[edge]
            else:
                untried[vertex].pop()
        return path
