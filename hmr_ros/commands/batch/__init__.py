"""Many videos, folders and bags through the pipeline, on processes or on Ray."""
