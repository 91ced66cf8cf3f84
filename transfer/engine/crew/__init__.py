"""Several processes for one run: who they are, what they say to each other, and how work is lent to them."""
