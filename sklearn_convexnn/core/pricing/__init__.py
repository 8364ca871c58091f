"""The largest dual constraint: searched for, enumerated, and bounded from above."""
