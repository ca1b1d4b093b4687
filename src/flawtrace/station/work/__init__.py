"""What computes for a station, each in a process of its own: looking at images, and training."""
