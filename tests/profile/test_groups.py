"""The part of the detector that a node belongs to, by the names of each exporter of the family."""

from __future__ import annotations

import pytest

from detrt.profile import groups


@pytest.mark.parametrize(
    ("name", "part"),
    [
        # RT-DETR, and what came of it
        ("/model/backbone/res_layers.3/blocks.1/branch2a/conv/Conv", groups.BACKBONE),
        ("/model/encoder/encoder.0/layers.0/self_attn/MatMul", groups.AIFI),
        ("/model/encoder/encoder_0/layers_0/linear1/MatMul", groups.AIFI),
        ("/model/encoder/fpn_blocks.0/conv1/conv/Conv", groups.CCFF),
        ("/model/decoder/input_proj.0/conv/Conv", groups.CCFF),
        ("/model/decoder/enc_bbox_head/layers.0/MatMul", groups.SELECTION),
        ("/model/decoder/TopK", groups.SELECTION),
        ("/model/decoder/decoder/layers.2/cross_attn/value_proj/MatMul", groups.VALUES),
        ("/model/decoder/decoder/layers.0/self_attn/Softmax", groups.SELF_ATTENTION),
        ("/model/decoder/decoder/layers.1/cross_attn/GridSample", groups.CROSS_ATTENTION),
        ("/model/decoder/decoder/layers.1/linear1/MatMul", groups.FFN),
        ("/model/decoder/decoder/layers.1/norm2/LayerNormalization", groups.FFN),
        ("/model/decoder/decoder/query_pos_head/layers.0/MatMul", groups.HEADS),
        ("/model/decoder/decoder/dec_score_head.2/MatMul", groups.HEADS),
        ("/model/decoder/decoder/Log_1", groups.HEADS),
        ("/postprocessor/TopK", groups.POSTPROCESS),
        # D-FINE, DEIM
        ("/model/decoder/decoder/layers.1/gateway/gate/MatMul", groups.CROSS_ATTENTION),
        ("/model/decoder/decoder/lqe_layers.2/TopK", groups.HEADS),
        ("/model/decoder/decoder/integral/Softmax", groups.HEADS),
        ("/model/decoder/decoder/layers.0/swish_ffn/w12/MatMul", groups.FFN),
        # transformers
        ("/model/encoder_input_proj.0/0/Conv", groups.CCFF),
        ("/model/decoder_input_proj.0/0/Conv", groups.CCFF),
        ("/model/enc_score_head/MatMul", groups.SELECTION),
        ("/model/decoder/layers.0/encoder_attn/sampling_offsets/MatMul", groups.CROSS_ATTENTION),
        ("/model/decoder/layers.0/fc1/MatMul", groups.FFN),
        # detrt export
        ("/encoder/encoder.0/layer/qkv_proj/Gemm", groups.AIFI),
        ("/decoder/memory.2/Conv", groups.CCFF),
        ("/decoder/values/Reshape", groups.VALUES),
        ("/decoder/layers.0/qkv_proj/Gemm", groups.SELF_ATTENTION),
        ("/decoder/layers.0/query_pos/Gemm", groups.HEADS),
        ("/TopK", groups.POSTPROCESS),
        ("Cast_2079", groups.OTHER),
    ],
)
def test_part_of_a_node(name: str, part: str) -> None:
    assert groups.group_of_node(name) == part


def test_every_part_has_its_place_and_precedence() -> None:
    assert sorted(groups.GROUPS) == sorted(groups.PRECEDENCE)
