"""Jobs on this machine: `luxscaler train` and `luxscaler upscale` as processes of the console."""
