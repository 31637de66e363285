"""What runs a network, whatever the network: torch, ONNX Runtime, TensorRT, LiteRT."""
