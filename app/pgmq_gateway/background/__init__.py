"""What the gateway does by itself: samples and maintenance of the queues."""
