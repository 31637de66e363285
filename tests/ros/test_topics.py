"""What the node has on the graph is what the table says, and so are the page and the SROS2 policy made from it."""

from fnmatch import fnmatch
from pathlib import Path
from xml.etree import ElementTree

import pytest
import rclpy
from live_robot import Peer, Robot
from sensor_msgs.msg import CompressedImage

from hmr_ros.ros.fusion_node import FusionNode
from hmr_ros.ros.topics import FUSION_TOPICS, ID, IN, OUT, SERVICES, TOPICS, policy, topic_page

ROOT = Path(__file__).parents[2]
EVERYTHING = [
    "output.target_frame:=map", "world.imu_topic:=imu", "use_sim_time:=true", "detector.kind:=external",
]  # fmt: skip


def absolute(name, node="hmr"):
    """As the graph shows it of a node in no namespace."""
    return name.replace("~", f"/{node}") if name.startswith("~") else name if name.startswith("/") else f"/{name}"


def table(direction):
    return {absolute(t.name): set(t.types) for t in TOPICS if t.direction == direction}


def graph(robot, kind, node="hmr"):
    """Names and types that the node has, as another process sees them."""
    asked = {
        IN: robot.client.get_subscriber_names_and_types_by_node,
        OUT: robot.client.get_publisher_names_and_types_by_node,
        "services": robot.client.get_service_names_and_types_by_node,
    }[kind]
    return {name: set(types) for name, types in asked(node, "/")}


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
    assert root.get("version") == "0.2.0"
    enclaves = {e.get("path"): e for e in root.iter("enclave")}
    assert enclaves.keys() == {"/hmr", "/fusion"}
    for node, topics in {"hmr": TOPICS, "fusion": FUSION_TOPICS}.items():
        (profile,) = enclaves[f"/{node}"].iter("profile")
        assert (profile.get("ns"), profile.get("node")) == ("/", node)
        allowed = {(word, rule): {entry.text for entry in group} for group in profile for rule, word in group.items()}
        assert allowed == {
            ("ALLOW", "subscribe"): {t.name for t in topics if t.direction == IN},
            ("ALLOW", "publish"): {t.name for t in topics if t.direction == OUT},
            ("ALLOW", "reply"): {s.name for s in SERVICES},
        }


@pytest.fixture(scope="module")
def fused(tmp_path_factory):
    """The graph of the node `fusion` with everything switched on."""
    file = tmp_path_factory.mktemp("cameras") / "cameras.yaml"
    file.write_text("cameras: {left: {image_topic: /a}, right: {image_topic: /b}}")
    rclpy.init(args=["--ros-args", "-p", f"cameras:={file}", "-p", "use_sim_time:=true"])
    p = Peer(FusionNode())
    try:
        p.node.autostart()
        services = {absolute(s.name, "fusion") for s in SERVICES}
        p.spin_until(lambda: "fusion" in p.client.get_node_names())
        p.spin_until(lambda: graph(p, "services", "fusion").keys() >= services and graph(p, IN, "fusion"))
        for _ in range(50):  # what the table lacks would be heard a little later
            p.spin_once()
        return {kind: graph(p, kind, "fusion") for kind in (IN, OUT, "services")}
    finally:
        p.close()


def test_fusion_has_its_table_and_nothing_else(fused):
    for direction in (IN, OUT):
        names = {absolute(t.name, "fusion"): set(t.types) for t in FUSION_TOPICS if t.direction == direction}
        matched = {n: [p for p in names if fnmatch(n, p)] for n in fused[direction]}
        assert all(types == names[matched[n][0]] for n, types in fused[direction].items())
        optional = {p for p in names if p.startswith(("/humans", "/people"))}  # where their messages are installed
        assert {p for patterns in matched.values() for p in patterns} | optional == names.keys()
    assert sorted(n for n in fused[IN] if "humans" in n) == ["/left/hmr/humans", "/right/hmr/humans"]
    assert fused["services"] == {absolute(s.name, "fusion"): {s.type} for s in SERVICES}
    assert f"{ID}/hmr/humans" in {t.name for t in FUSION_TOPICS}
