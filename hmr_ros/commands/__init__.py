"""What the sub-commands of `hmr` do, one module each."""
