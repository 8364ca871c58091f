"""Deep linear networks, and deep ReLU networks in closed form."""
