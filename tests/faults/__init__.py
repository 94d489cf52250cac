"""A campaign of faults: kills, full disks, missing permissions and more, at every phase of training. See __main__."""
