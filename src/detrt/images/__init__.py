"""Where pixels come from and how they become the network's input: sources, decoding, resizing."""

from detrt.images.read import Pixels, decode_photo, read_photo

__all__ = ["Pixels", "decode_photo", "read_photo"]
