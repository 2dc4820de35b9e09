"""The parts of a detector, found from what its graph does and not from what its exporter called things.

What every RT-DETR-family graph shows: a top-k that selects queries, grid sampling in the decoder's cross-attention,
products of two activations in attention, an upsampling in the encoder's pyramid, and boxes as tensors whose last axis
is 4. Everything else follows from who reaches whom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import log2

from detrt.graph.index import GraphIndex, Use
from detrt.graph.products import Product
from detrt.graph.static_shapes import Shape, static_shapes

ORDER = (
    *("stem", "stage 1", "stage 2", "stage 3", "stage 4", "AIFI", "CCFF", "query selection", "value_proj", "query_pos"),
    *("self-attention", "sampling_offsets", "attention_weights", "output_proj", "FFN", "heads", "other"),
)
"""Every group name, in the order in which an image meets them."""

_SHAPING = frozenset({"Reshape", "Transpose", "Split", "Slice", "Squeeze", "Unsqueeze", "Identity", "Cast", "Flatten"})
_SUMS = frozenset({"Mul", "MatMul", "Einsum"})
_NORMS = frozenset({"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"})


def find_groups(graph: GraphIndex, products: Sequence[Product]) -> dict[str, str]:
    """The group of each product, by its key. A graph without query selection has `other` for what nobody knows."""
    return _Finder(graph, products).groups()


class _Finder:
    def __init__(self, graph: GraphIndex, products: Sequence[Product]) -> None:
        self._graph = graph
        self._products = {product.node: product for product in products}
        self._shapes: dict[str, Shape] = static_shapes(graph.model)
        self._readers: list[list[Use]] = [
            [use for name in node.output for use in graph.uses.get(name, ())] for node in graph.nodes
        ]
        self._makers: list[list[int]] = [
            [graph.producer[name] for name in node.input if name in graph.producer] for node in graph.nodes
        ]

    def groups(self) -> dict[str, str]:
        selection = self._selection()
        after = self._down(selection)
        before = {number for number in self._products if number not in after}
        found = self._before(before, selection) | self._after({*self._products} - before)
        return {self._products[number].key: group for number, group in sorted(found.items())}

    # ---- what comes before the queries are selected: backbone, encoder, selection

    def _before(self, numbers: set[int], selection: list[int]) -> dict[int, str]:
        entrance = self._entrance(numbers)
        backbone = (self._up(entrance) - set(entrance)) & numbers
        found: dict[int, str] = {}
        for number in numbers:
            convolves = self._products[number].op == "Conv"
            if number in backbone:
                found[number] = self._stage(number)
            elif convolves and (entrance or not selection):
                found[number] = "CCFF"
            elif self._reaches(number, lambda use: use.node in numbers and self._products[use.node].op == "Conv"):
                found[number] = "AIFI"
            elif self._only_sampled(number):
                found[number] = "value_proj"
            else:
                found[number] = "query selection" if selection else "other"
        return found

    def _entrance(self, numbers: set[int]) -> list[int]:
        """The convolution that projects the deepest feature map into the encoder, as a list of one or none.

        It is the last 1x1 convolution without an activation after it that everything in the first upsampling, or in
        the attention before that, is computed from.
        """
        graph = self._graph
        convolutions = {number for number in numbers if self._products[number].op == "Conv"}
        for target, node in enumerate(graph.nodes):
            pairs = target in self._products and not self._products[target].weight
            if (node.op_type == "Resize" or pairs) and (above := self._up([target]) & convolutions):
                through = [number for number in sorted(above) if self._dominates(number, target)]
                plain = [number for number in through if self._is_plain_projection(number)]
                return (plain or through)[-1:]
        return []

    def _is_plain_projection(self, number: int) -> bool:
        pointwise = set(self._products[number].kernel[2:]) == {1}
        after = {self._graph.nodes[use.node].op_type for use in self._readers[number]}
        return pointwise and not after & {"Relu", "Sigmoid", "Mul", "Erf", "Gelu", "HardSwish", "HardSigmoid", "Clip"}

    def _dominates(self, number: int, target: int) -> bool:
        """Whether every way from the network's inputs to `target` passes `number`."""
        seen, stack = {target}, [target]
        while stack:
            here = stack.pop()
            if here == number:
                continue
            if any(name in self._graph.inputs for name in self._graph.nodes[here].input):
                return False
            for maker in self._makers[here]:
                if maker not in seen and self._carries_pixels(maker):
                    seen.add(maker)
                    stack.append(maker)
        return True

    def _carries_pixels(self, number: int) -> bool:
        return self._graph.nodes[number].op_type not in ("Shape", "Constant", "Size")

    def _stage(self, number: int) -> str:
        """By how far the image has shrunk: the stem to a half, then a stage for each further halving."""
        image = next(
            (self._shapes.get(name, ()) for name in self._graph.inputs if len(self._shapes.get(name, ())) == 4), ()
        )
        here = self._shapes.get(self._products[number].key, ())
        if len(here) != 4 or len(image) != 4 or not here[2] or not image[2]:
            return "other"
        halvings = round(log2(image[2] / here[2]))
        return "stem" if halvings < 2 else f"stage {min(halvings - 1, 4)}"

    def _only_sampled(self, number: int) -> bool:
        """Whether grid sampling, or a gather that stands for it, is all that ever reads the product."""
        ends = self._ends(number)
        return bool(ends) and all(self._graph.nodes[use.node].op_type == "GridSample" and use.slot == 0 for use in ends)

    # ---- what the selected queries go through: the decoder

    def _after(self, numbers: set[int]) -> dict[int, str]:
        found: dict[int, str] = {}
        pairs = {number for number in numbers if not self._products[number].weight}
        for number in sorted(numbers):
            ends = self._ends(number)
            operations = {(self._graph.nodes[use.node].op_type, use.slot) for use in ends}
            if number in pairs or any(use.node in pairs for use in ends):
                found[number] = "self-attention"
            elif operations == {("GridSample", 1)} and not self._predicts_boxes(number):
                found[number] = "sampling_offsets"
            elif self._weighs_samples(number):
                found[number] = "attention_weights"
        for number in sorted(numbers - set(found)):
            sources = self._sources(number)
            if sources & pairs:
                found[number] = "self-attention"
            elif any(self._graph.nodes[source].op_type == "GridSample" for source in sources):
                found[number] = "output_proj"
        attending = {number for number, group in found.items() if group != "output_proj"}
        width = self._width(pairs)
        for number in sorted(numbers - set(found)):
            if self._reads_boxes(number, found):
                found[number] = "query_pos"
            elif self._joins_residual(number, width):
                found[number] = "FFN"
            else:
                found[number] = "heads" if self._up([number]) & attending else "query selection"
        return found

    def _weighs_samples(self, number: int) -> bool:
        """Whether a softmax of the product is multiplied with what grid sampling gave."""
        for use in self._through(number, _SHAPING | {"Add"}):
            if self._graph.nodes[use.node].op_type == "Softmax":
                for then in self._through(use.node, _SHAPING | {"Concat"}):
                    node = self._graph.nodes[then.node]
                    others = [maker for name in node.input if (maker := self._graph.producer.get(name)) is not None]
                    if node.op_type in _SUMS and any(self._comes_from_samples(maker) for maker in others):
                        return True
        return False

    def _comes_from_samples(self, number: int) -> bool:
        seen, stack = {number}, [number]
        while stack:
            here = stack.pop()
            kind = self._graph.nodes[here].op_type
            if kind == "GridSample":
                return True
            if kind in _SHAPING | {"Concat"}:
                stack += [maker for maker in self._makers[here] if maker not in seen]
                seen.update(stack)
        return False

    def _sources(self, number: int) -> set[int]:
        """Products and grid samplings that a product reads, across no residual addition and no norm."""
        seen, stack, found = {number}, [number], set()
        while stack:
            here = stack.pop()
            for maker in self._makers[here]:
                if maker in seen:
                    continue
                seen.add(maker)
                node = self._graph.nodes[maker]
                if maker in self._products or node.op_type == "GridSample":
                    found.add(maker)
                elif node.op_type not in _NORMS and not self._is_residual(maker):
                    stack.append(maker)
        return found

    def _is_residual(self, number: int) -> bool:
        """An addition of two activations; an optimiser may have put it into a Gemm as its third input."""
        node, constants = self._graph.nodes[number], self._graph.constants
        if not self._graph.is_float(node.output[0]):
            return False
        if node.op_type == "Gemm":
            return len(node.input) > 2 and bool(node.input[2]) and node.input[2] not in constants
        return node.op_type == "Add" and not any(name in constants for name in node.input)

    def _reads_boxes(self, number: int, found: dict[int, str]) -> bool:
        product = self._products[number]
        if self._is_box(product.activations[0]):
            return True
        sources = self._sources(number) & set(self._products)
        return bool(sources) and all(found.get(source) == "query_pos" for source in sources)

    def _predicts_boxes(self, number: int) -> bool:
        return any(
            self._is_box(name)
            for use in self._readers[number]
            for name in (self._products[number].key, self._graph.nodes[use.node].output[0])
        )

    def _is_box(self, name: str) -> bool:
        shape = self._shapes.get(name, ())
        return len(shape) >= 2 and shape[-1] == 4

    def _width(self, pairs: Iterable[int]) -> int | None:
        """Channels of a query: those that most residual additions after an attention have."""
        widths = Counter(
            shape[-1]
            for number in self._down(pairs)
            if self._is_residual(number) and (shape := self._shapes.get(self._graph.nodes[number].output[0], ()))
        )
        del widths[4], widths[2]
        return max(widths, key=lambda width: (widths[width], width or 0)) if widths else None

    def _joins_residual(self, number: int, width: int | None) -> bool:
        """Whether the product, or the next one after it, is added back to the queries."""
        if self._is_residual(number):
            return True
        stack, seen = [(number, 0)], {number}
        while stack:
            here, passed = stack.pop()
            for use in self._readers[here]:
                name = self._graph.nodes[use.node].output[0]
                if use.node in seen or self._is_box(name):
                    continue
                seen.add(use.node)
                if self._is_residual(use.node) and self._shapes.get(name, (None,))[-1] == width:
                    return True
                deeper = passed + (use.node in self._products)
                if deeper < 2:
                    stack.append((use.node, deeper))
        return False

    # ---- walking

    def _selection(self) -> list[int]:
        """The first top-k that products come after."""
        for number, node in enumerate(self._graph.nodes):
            if node.op_type == "TopK" and self._down([number]) & set(self._products):
                return [number]
        return []

    def _down(self, numbers: Iterable[int]) -> set[int]:
        """Everything computed from the nodes, themselves included."""
        stack = list(numbers)
        seen = set(stack)
        while stack:
            for use in self._readers[stack.pop()]:
                if use.node not in seen:
                    seen.add(use.node)
                    stack.append(use.node)
        return seen

    def _up(self, numbers: Iterable[int]) -> set[int]:
        """Everything that the nodes are computed from, themselves included."""
        stack = list(numbers)
        seen = set(stack)
        while stack:
            for maker in self._makers[stack.pop()]:
                if maker not in seen:
                    seen.add(maker)
                    stack.append(maker)
        return seen

    def _reaches(self, number: int, wanted: Callable[[Use], bool]) -> bool:
        return any(wanted(Use(node, 0)) for node in self._down([number]) - {number})

    def _ends(self, number: int) -> list[Use]:
        """Where the product's numbers go: the next products and grid samplings, and nothing past them."""
        seen, stack, found = {number}, [number], []
        while stack:
            for use in self._readers[stack.pop()]:
                node = self._graph.nodes[use.node]
                if use.node in self._products or node.op_type == "GridSample":
                    found.append(use)
                elif use.node not in seen and node.op_type != "Shape":
                    seen.add(use.node)
                    stack.append(use.node)
        return found

    def _through(self, number: int, kinds: frozenset[str]) -> list[Use]:
        """The first uses after any chain of nodes of `kinds`."""
        seen, stack, found = {number}, [number], []
        while stack:
            for use in self._readers[stack.pop()]:
                if use.node in seen:
                    continue
                seen.add(use.node)
                if self._graph.nodes[use.node].op_type in kinds:
                    stack.append(use.node)
                else:
                    found.append(use)
        return found
