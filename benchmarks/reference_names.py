"""Names of joints in the references of real clips."""


def short(joint: str) -> str:
    """left_hip -> LHip."""
    side, part = joint.split("_")
    return side[0].upper() + part.capitalize()
