"""One folder a paper: recoveries, calibrations and refinements behind one contract."""
