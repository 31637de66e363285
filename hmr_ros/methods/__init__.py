"""One folder a paper: recoveries and refinements behind one contract."""
