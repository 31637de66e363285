"""People of a humans.npz as files of other programs: one motion a person, in a z-up world."""
