"""The only package that knows ROS."""
