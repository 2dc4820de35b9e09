"""RT-DETRv2 in PyTorch, its variants and checkpoints, and the registry of published models."""
