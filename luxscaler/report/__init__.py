"""The page that compares a picture before and after."""
