"""Published protocols on data that its owners give to those who register: 3DPW, EMDB, Human3.6M."""
