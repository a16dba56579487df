"""Certificates as an authority hands them out, for servers and their clients, and some that must be refused."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from google.protobuf import text_format

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Files:
    """Where the certificates are."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> "Files":
        """Write what a certificate authority would hand out, an expired certificate, and another authority's."""
        folder.mkdir()
        ours, others = trustme.CA(), trustme.CA()
        for name, authority in (("ca", ours), ("other-ca", others)):
            authority.cert_pem.write_to_path(folder / f"{name}.pem")
        past = datetime.now(UTC) - timedelta(days=2)
        issued = {
            "server": ours.issue_cert(HOST, "localhost"),
            "expired": ours.issue_cert(HOST, not_before=past, not_after=past + timedelta(days=1)),
            "elsewhere": ours.issue_cert("elsewhere.example"),
            "client": ours.issue_cert("worker@example.org", common_name="worker"),
            "stranger": others.issue_cert("worker@example.org", common_name="worker"),
        }
        for name, made in issued.items():
            made.private_key_pem.write_to_path(folder / f"{name}.key")
            (folder / f"{name}.pem").write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
            made.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}-both.pem")
        for key in [*folder.glob("*.key"), *folder.glob("*-both.pem")]:
            key.chmod(0o600)  # libpq takes no other
        return cls(folder)

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)

    def ssl_config(self, server: str = "server", client_verify: bool = True) -> Path:
        """Write the model server's SSLConfig, as TensorFlow Serving's documentation shows it."""
        lines = [
            f"server_key: {_quoted(self[f'{server}.key'])}",
            f"server_cert: {_quoted(self[f'{server}.pem'])}",
            f"custom_ca: {_quoted(self['ca.pem'])}",
            f"client_verify: {str(client_verify).lower()}",
        ]
        path = self.folder / f"{server}-{client_verify}.config"
        path.write_text("\n".join(lines))
        return path


def _quoted(path: str) -> str:
    return '"' + text_format.text_encoding.CEscape(Path(path).read_text(), as_utf8=False) + '"'
