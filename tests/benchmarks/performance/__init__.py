"""The parts of make bench: how near the line comes to what the model alone can do, and what it costs beside it.

A part is a package, or a module where that is enough, with measure and section, and some with draw; bench_performance
takes them in this order: efficiency, capacity, peers, latency, memory, store, copies, growth. In a package measurement
measures, page tells and draws, and what else is there belongs to that part alone. What they share:

    line        listings in MongoDB, a store, a model that is served
    workers     workers that empty a backlog, timed
    paces       models that stand in for a GPU
    cpu         whose CPU time it is
    programs    what runs in a process of its own, in turns with the line
    page, plot  docs/performance.md and its pictures
"""
