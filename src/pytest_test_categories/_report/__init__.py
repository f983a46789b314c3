"""What a run touched, as one model that every format renders and none computes."""
