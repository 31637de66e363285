"""Results for other programs: files and live streams in their own formats."""
