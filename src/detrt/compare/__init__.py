"""Two runtimes side by side: whether they find the same, which tensor goes wrong first, and what puts it right."""
