"""People in a world whose z is up: gravity, floor, feet that stand; knows no ROS."""
