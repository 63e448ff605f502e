"""A web page on one's own machine, on which pictures and films are dropped: `shot-types app`, or `server.serve`."""
