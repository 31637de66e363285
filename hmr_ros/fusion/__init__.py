"""People of several calibrated cameras as one set of people in a common frame: causal, frame by frame, free of ROS."""
