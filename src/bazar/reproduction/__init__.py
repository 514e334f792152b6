"""The fourteen networks of the original study, trained again and evaluated."""
