"""`detrt::DeformableAttention`: from the projected queries of a decoder layer to their weighted samples, in one node.

    value       (N, cells, C)               the maps' rows, level by level; a head's C / heads channels side by side
    references  (N, Q, 4)                   boxes, cx, cy, w, h in 0..1
    offsets     (N, Q, heads * P * 2)       x, y of each of the P points of all levels
    logits      (N, Q, heads * P)
    output      (N, Q, C)

    weight = softmax over the points of logits
    place  = centre + offset * (offset_scale / points of its level) * (w, h)
    output = sum over the points of weight * sample of value at place

`shapes` holds the height and width of each level, `points` how many points each has. A sample is bilinear with zeros
outside of the map (align_corners false); or, where `discrete` is 1, the cell floor(place * size + 0.5), held inside.

The operator is an ONNX function: its body is the definition, so ONNX Runtime and the reference evaluator of ONNX run it
as it is, and so does a TensorRT without the plugin; the plugin (kernels/deformable_attention.cu) is held to it.
"""

from __future__ import annotations

import onnx
import onnx.parser
from onnx import helper

from detrt.graph.multi_head_offsets import DOMAIN, VERSION
from detrt.graph.passes import PassResult

NAME = "DeformableAttention"

# The body as text, by axis: N, Q, head, point, then x and y, then the two cells around a place along that axis.
_BODY = """
<domain: "{domain}", opset_import: ["": {opset}]>
{name} <heads, shapes, points, offset_scale, discrete> (value, references, offsets, logits) => (output)
{{
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    none = Constant <value_float = 0.0> ()
    half = Constant <value_float = 0.5> ()
    full = Constant <value_float = 1.0> ()
    steps = Constant <value_floats = [0.0, 1.0]> ()
    axis_0 = Constant <value_ints = [0]> ()
    axis_1 = Constant <value_ints = [1]> ()
    axis_3 = Constant <value_ints = [3]> ()
    axis_4 = Constant <value_ints = [4]> ()
    axis_last = Constant <value_ints = [-1]> ()
    axes_2_3 = Constant <value_ints = [2, 3]> ()
    axes_4_5 = Constant <value_ints = [4, 5]> ()

    # what belongs to a point: its level's extent (width, height), first cell, and the scale of its offsets
    head_count = Constant <value_int: int = @heads> ()
    sides = Constant <value_ints: ints = @shapes> ()
    counts = Constant <value_ints: ints = @points> ()
    scale = Constant <value_float: float = @offset_scale> ()
    level_shape = Constant <value_ints = [-1, 2]> ()
    x_then_y = Constant <value_ints = [1, 0]> ()
    level_sides = Reshape (sides, level_shape)
    level_height = Gather <axis = 1> (level_sides, zero)
    level_width = Gather <axis = 1> (level_sides, one)
    level_cells = Mul (level_height, level_width)
    level_start = CumSum <exclusive = 1> (level_cells, zero)
    level_end = CumSum (counts, zero)
    total = ReduceSum <keepdims = 0> (counts, axis_0)
    number = Range (zero, total, one)
    number_column = Unsqueeze (number, axis_1)
    is_beyond = GreaterOrEqual (number_column, level_end)
    beyond = Cast <to = 7> (is_beyond)
    level = ReduceSum <keepdims = 0> (beyond, axis_1)
    sides_xy = Gather <axis = 1> (level_sides, x_then_y)
    sides_of_point = Gather (sides_xy, level)
    extent = Cast <to = 1> (sides_of_point)
    width_of_point = Gather <axis = 1> (extent, axis_0)
    start_of_point = Gather (level_start, level)
    start_column = Unsqueeze (start_of_point, axis_1)
    start = Cast <to = 1> (start_column)
    count_of_point = Gather (counts, level)
    count = Cast <to = 1> (count_of_point)
    scale_of_point = Div (scale, count)
    scale_column = Unsqueeze (scale_of_point, axis_1)

    # places, counted in cells from the centre of the first
    keep_two = Constant <value_ints = [0, 0]> ()
    two = Constant <value_ints = [2]> ()
    two_and_two = Constant <value_ints = [2, 2]> ()
    head_list = Unsqueeze (head_count, axis_0)
    by_head = Concat <axis = 0> (keep_two, head_list, axis_last)
    by_point = Concat <axis = 0> (by_head, two)
    boxes = Cast <to = 1> (references)
    boxes_spread = Unsqueeze (boxes, axes_2_3)
    centre, box = Split <axis = 4> (boxes_spread, two_and_two)
    offsets_wide = Cast <to = 1> (offsets)
    offset = Reshape (offsets_wide, by_point)
    reach = Mul (scale_column, box)
    shift = Mul (offset, reach)
    place = Add (centre, shift)
    in_cells = Mul (place, extent)
    bilinear_at = Sub (in_cells, half)
    last = Sub (extent, full)
    rounding = Add (in_cells, half)
    rounded = Floor (rounding)
    rounded_up = Max (rounded, none)
    nearest_at = Min (rounded_up, last)
    discrete_number = Constant <value_int: int = @discrete> ()
    is_discrete = Cast <to = 9> (discrete_number)
    at = Where (is_discrete, nearest_at, bilinear_at)

    # the two cells along each axis, and what each counts: 1 - distance inside of the map, nothing outside
    first = Floor (at)
    first_spread = Unsqueeze (first, axis_last)
    cells = Add (first_spread, steps)
    at_spread = Unsqueeze (at, axis_last)
    difference = Sub (at_spread, cells)
    distance = Abs (difference)
    nearness = Sub (full, distance)
    last_spread = Unsqueeze (last, axis_last)
    cells_up = Max (cells, none)
    held = Min (cells_up, last_spread)
    is_inside = Equal (held, cells)
    part = Where (is_inside, nearness, none)

    # the four cells of a place, down by across
    part_x = Gather <axis = 4> (part, zero)
    part_y = Gather <axis = 4> (part, one)
    across = Unsqueeze (part_x, axis_4)
    down = Unsqueeze (part_y, axis_last)
    share = Mul (down, across)
    column = Gather <axis = 4> (held, zero)
    row = Gather <axis = 4> (held, one)
    row_cells = Mul (row, width_of_point)
    row_start = Add (row_cells, start)
    row_spread = Unsqueeze (row_start, axis_last)
    column_spread = Unsqueeze (column, axis_4)
    cell_number = Add (row_spread, column_spread)
    cell = Cast <to = 7> (cell_number)
    logits_wide = Cast <to = 1> (logits)
    logits_by_head = Reshape (logits_wide, by_head)
    weight = Softmax <axis = -1> (logits_by_head)
    weight_spread = Unsqueeze (weight, axes_4_5)
    shared_weight = Mul (weight_spread, share)

    # the weighted sum, head by head
    in_query = Constant <value_ints = [0, 0, 0, -1]> ()
    in_line = Constant <value_ints = [0, 0, -1, 1]> ()
    joined = Constant <value_ints = [0, 0, -1]> ()
    value_heads = Reshape (value, by_head)
    values = Transpose <perm = [0, 2, 1, 3]> (value_heads)
    cells_query = Reshape (cell, in_query)
    cells_head = Transpose <perm = [0, 2, 1, 3]> (cells_query)
    cells_line = Reshape (cells_head, in_line)
    sample_line = GatherND <batch_dims = 2> (values, cells_line)
    query_shape = Shape (cells_head)
    depth = Shape <start = 3> (values)
    sample_shape = Concat <axis = 0> (query_shape, depth)
    samples = Reshape (sample_line, sample_shape)
    weights_query = Reshape (shared_weight, in_query)
    weights_head = Transpose <perm = [0, 2, 1, 3]> (weights_query)
    weights_row = Unsqueeze (weights_head, axis_3)
    weights = CastLike (weights_row, samples)
    summed = MatMul (weights, samples)
    by_query = Transpose <perm = [0, 2, 1, 3, 4]> (summed)
    output = Reshape (by_query, joined)
}}
"""


def define_attention(model: onnx.ModelProto) -> PassResult:
    """Give a model with such nodes the operator's definition; the body takes the model's own opset."""
    if not any((node.domain, node.op_type) == (DOMAIN, NAME) for node in model.graph.node):
        return PassResult(model, changed=False)
    defined = onnx.ModelProto()
    defined.CopyFrom(model)
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 17)
    if not any(entry.domain == DOMAIN for entry in defined.opset_import):
        defined.opset_import.append(helper.make_opsetid(DOMAIN, VERSION))
    if not any((function.domain, function.name) == (DOMAIN, NAME) for function in defined.functions):
        defined.functions.append(definition(opset))
    return PassResult(defined, changed=True)


def definition(opset: int) -> onnx.FunctionProto:
    """The operator as a function of standard operators, for opset 17 or later."""
    function = onnx.parser.parse_function(_BODY.format(domain=DOMAIN, name=NAME, opset=opset))
    function.doc_string = (__doc__ or "").strip()
    return function
