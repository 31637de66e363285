"""The worker tells the pipeline when answers take longer than images come."""

import time

from rclpy.time import Time
from sensor_msgs.msg import Image

from hmr_ros.io.encodings import image_bytes


def test_who_answers_more_slowly_than_images_come_is_in_a_hurry_until_they_come_slowly(robot, rendered):
    """The camera's period is that of the stamps: images a millisecond apart, then a second."""
    r = robot()
    r.node.autostart()
    image = rendered[0][0]
    r.show(image, lambda: any(a.humans for a in r.answers))
    told = []
    pipeline = r.node._pipeline
    hurry = pipeline.hurry
    pipeline.hurry = lambda late: told.append(late) or hurry(late)
    message = Image(height=image.shape[0], width=image.shape[1], encoding="bgr8", step=3 * image.shape[1])
    message.header.frame_id, message.data = "optical", image_bytes(image)
    stamp_ns = r.client.get_clock().now().nanoseconds

    def until(step_ns, condition):
        def show():
            nonlocal stamp_ns
            stamp_ns += step_ns
            message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
            r.images.publish(message)
            time.sleep(0.02)
            return condition()

        r.spin_until(show)

    until(1_000_000, lambda: told and told[-1])
    until(1_000_000, lambda: any(v.key == "hurried" and v.value == "true" for s in r.statuses for v in s.values))
    until(10**9, lambda: not told[-1])
