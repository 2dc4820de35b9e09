"""Where pixels come from and how they become the network's input: sources, decoding, resizing."""
