"""What is measured, as ratios against a peer in the same run where there is one. Nothing here asserts a speed."""
