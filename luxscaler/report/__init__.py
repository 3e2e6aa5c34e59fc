"""What people look at: the page that compares before and after, and the preview of hdr_boost."""
