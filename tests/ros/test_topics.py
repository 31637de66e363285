"""What the node has on the graph is what the table says, and so are the page and the SROS2 policy made from it."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from live_robot import Robot
from sensor_msgs.msg import CompressedImage

from hmr_ros.ros.topics import IN, OUT, SERVICES, TOPICS, policy, topic_page

ROOT = Path(__file__).parents[2]
EVERYTHING = ["output.target_frame:=map", "world.imu_topic:=imu", "use_sim_time:=true"]


def absolute(name):
    """As the graph shows it of a node /hmr."""
    return name.replace("~", "/hmr") if name.startswith("~") else name if name.startswith("/") else f"/{name}"


def table(direction):
    return {absolute(t.name): set(t.types) for t in TOPICS if t.direction == direction}


def graph(robot, kind):
    """Names and types that the node has, as another process sees them."""
    asked = {
        IN: robot.client.get_subscriber_names_and_types_by_node,
        OUT: robot.client.get_publisher_names_and_types_by_node,
        "services": robot.client.get_service_names_and_types_by_node,
    }[kind]
    return {name: set(types) for name, types in asked("hmr", "/")}


def seen(transport, depth):
    """The graph of a node with everything switched on."""
    parameters = [*EVERYTHING, f"input.transport:={transport}", f"input.depth_topic:={depth}"]
    r = Robot(*(word for p in parameters for word in ("-p", p)))
    try:
        r.client.create_publisher(CompressedImage, "image/compressed", 10)
        r.spin_until(lambda: r.node.count_publishers("/image/compressed"))
        r.node.autostart()
        services = {absolute(s.name) for s in SERVICES}
        r.spin_until(lambda: graph(r, "services").keys() >= services and graph(r, IN) and graph(r, OUT))
        for _ in range(50):  # what the table lacks would be heard a little later
            r.spin_once()
        return {kind: graph(r, kind) for kind in (IN, OUT, "services")}
    finally:
        r.close()


@pytest.fixture(scope="module")
def graphs():
    return [seen("raw", "depth"), seen("compressed", "depth/compressedDepth")]


def test_the_node_subscribes_to_the_table_and_nothing_else(graphs):
    assert graphs[0][IN].keys() | graphs[1][IN].keys() == table(IN).keys()
    assert not [(n, t) for g in graphs for n, t in g[IN].items() if not t <= table(IN)[n]]


def test_the_node_publishes_the_table_and_nothing_else(graphs):
    needed = {n: t for n, t in table(OUT).items() if not n.startswith(("/humans", "/people"))}
    for g in graphs:
        assert {n: t for n, t in g[OUT].items() if not n.startswith(("/humans", "/people"))} == needed


def test_the_node_answers_the_services_of_the_table_and_no_others(graphs):
    for g in graphs:
        assert g["services"] == {absolute(s.name): {s.type} for s in SERVICES}


def test_the_page_is_what_the_code_writes():
    assert (ROOT / "docs/topics.md").read_text(encoding="utf-8") == topic_page()


def test_the_policy_allows_the_table_and_nothing_else():
    file = ROOT / "policies/hmr_ros.policy.xml"
    assert file.read_text(encoding="utf-8") == policy()
    root = ElementTree.parse(file).getroot()
    (profile,) = root.iter("profile")
    assert root.get("version") == "0.2.0" and (profile.get("ns"), profile.get("node")) == ("/", "hmr")
    allowed = {(word, rule): {entry.text for entry in group} for group in profile for rule, word in group.items()}
    assert allowed == {
        ("ALLOW", "subscribe"): {t.name for t in TOPICS if t.direction == IN},
        ("ALLOW", "publish"): {t.name for t in TOPICS if t.direction == OUT},
        ("ALLOW", "reply"): {s.name for s in SERVICES},
    }
