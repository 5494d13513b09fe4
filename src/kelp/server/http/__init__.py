"""What the stages that speak HTTP have in common: how a route is declared, read and refused."""
