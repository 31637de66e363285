"""Image to people with identities: detector, landmarks, tracker."""
