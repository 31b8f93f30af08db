"""How the simulated dogs are made, one step a module; `conv2d.data.simulator` puts the steps together.

traits → ethogram (what they do when) → style (how they hold themselves) → gait and motion (where the two devices are)
→ imu (what ideal sensors there would feel) → sensor (what cheap ones report) → dropout (what arrives).
"""
