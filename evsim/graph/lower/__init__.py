"""From a graph to a network of event-driven handlers."""
