"""Graphs in the Neuromorphic Intermediate Representation (NIR): read as graphs of ours, and written from them.

`hdf5` reads a stranger's file, `flat` puts subgraphs in their places and nodes in order, `reading` and `neurons` say
what a population does in a step, `translate` makes the graph, `write` goes the other way.
"""
