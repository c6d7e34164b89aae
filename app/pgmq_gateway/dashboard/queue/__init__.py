"""What the page of one queue is made of."""
