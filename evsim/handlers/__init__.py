"""What a network is made of: projections, populations, pooling, attention, sums and the readout."""
