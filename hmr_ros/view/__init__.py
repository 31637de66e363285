"""Drawing: the recovered people over their images."""
