"""hdr_boost: how an SDR picture was rendered, and the light above white that it stood for."""
