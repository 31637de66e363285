"""The demo: a virtual camera and the live node on real topics, recorded and measured."""
