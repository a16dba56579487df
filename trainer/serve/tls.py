"""TLS as TensorFlow Serving's --ssl_config_file sets it: keys and certificates in PEM, within a protobuf in text."""

from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from trainer.serve.errors import ServeError

#: of tensorflow.serving.SSLConfig, in the order of their numbers; tensorflow-serving-api has no module for it
FIELDS = {
    "server_key": FieldDescriptorProto.TYPE_STRING,
    "server_cert": FieldDescriptorProto.TYPE_STRING,
    "custom_ca": FieldDescriptorProto.TYPE_STRING,
    "client_verify": FieldDescriptorProto.TYPE_BOOL,
}


def credentials(path: Path) -> grpc.ServerCredentials:
    """Return what the server shows its clients, and with client_verify asks of them; raises ServeError.

    gRPC itself looks into the key and the certificate only when it listens.
    """
    try:
        config = text_format.Parse(path.read_bytes(), _message())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        line = error.GetLine() if isinstance(error, text_format.ParseError) else None
        told = error.strerror if isinstance(error, OSError) else f"line {line or 1}"  # no more: a key is in it
        raise ServeError(f"{path} is no SSLConfig in text format ({told}): it sets {', '.join(FIELDS)}") from None
    if not (config.server_key and config.server_cert):
        raise ServeError(f"{path} needs server_key and server_cert, both in PEM")
    if config.client_verify and not config.custom_ca:
        raise ServeError(f"{path} has client_verify: it needs custom_ca too, the CA of the clients' certificates")
    pair = (config.server_key.encode(), config.server_cert.encode())
    return grpc.ssl_server_credentials([pair], config.custom_ca.encode() or None, config.client_verify)


def _message():
    file = descriptor_pb2.FileDescriptorProto(name="ssl_config.proto", package="tensorflow.serving", syntax="proto3")
    message = file.message_type.add(name="SSLConfig")
    for number, (name, kind) in enumerate(FIELDS.items(), start=1):
        message.field.add(name=name, number=number, type=kind, label=FieldDescriptorProto.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.serving.SSLConfig"))()
