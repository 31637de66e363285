"""Training of the shipped networks: data, losses, loops. Nothing here is needed to run the node."""
