"""The tools around the templates that `generator/` writes: deploying, analysing and rehearsing them."""
