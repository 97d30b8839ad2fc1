"""One file a workload, offering ``load(name, shared)``; found by looking into this folder."""
