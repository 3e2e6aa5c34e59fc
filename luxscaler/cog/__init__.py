"""The client of a Cog container: what it is asked, how its reply is read."""
