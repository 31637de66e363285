# What hmr_ros uses of PyCUDA; where it is from: typings/README.md
