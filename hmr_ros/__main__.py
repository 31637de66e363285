"""`python -m hmr_ros` = `hmr`."""

import sys

from hmr_ros.cli import main

sys.exit(main())
