"""A model server for one machine that speaks TensorFlow Serving's gRPC API.

It stands in for the tensorflow/serving image where there is no Docker: any client of TensorFlow Serving works with
it unchanged, and gets the same answers and the same refusals. It neither batches requests nor uses several
accelerators; production runs the real one. Start at `server.serve`.

    server    compose, start, stop, signals
    services  the two gRPC services, and how an error becomes a status
    models    watch the folder, obey a reload
    loading   load what a policy wants, decide what it replaces
    snapshot  what is served at one moment, and how a request finds its model
    versions  version folders, version policies, the life of one version
    config    a reload request, checked and read
    requests  a Predict request off the wire, without copying its pixels
    predict   one loaded SavedModel and a Predict call on it
    pace      how long a request takes, and whose turn it is, where nothing is computed: serve --pace
    paced     one loaded SavedModel that answers at a pace
    warmup    the requests that a version answers before it is served
    tensors   TensorProto to numpy and back
    tls       keys and certificates, as TensorFlow Serving's --ssl_config_file has them
    errors    a status code and a sentence for clients, one sentence for whoever starts the server

What "as TensorFlow Serving does" refers to was read in its sources (github.com/tensorflow/serving, r2.x).
"""
