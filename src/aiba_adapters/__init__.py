"""Technology behind the ports of `aiba_domain`: stores, clocks, identity."""
