"""What runs, whatever the network: spikes, the event queue, the ledger, the one loop."""
