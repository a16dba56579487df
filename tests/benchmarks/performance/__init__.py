"""The parts of make bench: how near the line comes to what the model alone can do, and what it costs beside it.

Each part is a module with measure and section, and some with draw; bench_performance takes them in this order. What
stands under a part is its own.

    efficiency    networks, paced, direct, busy, limits
    capacity      stages, decoding
    peers         against; the peers themselves are in tests/benchmarks/peers
    latency       onlooker, amid
    memory        resident, watched
    store         stored, writing, executemany
    copies
    growth        growing, waiting

    line, apart, asked    what they run on: servers, workers, programs that answer in turn
    page, plot            docs/performance.md and its pictures
"""
