"""Whether live trials keep their promises: false promotions, power, how fast a bad canary stops, and the checks of the split."""
