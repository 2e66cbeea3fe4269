//! Over HTTPS: to a server that somebody vouches for, and to none else.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heapsite::push::Options;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::delivery::NEVER;
use crate::server::Server;

planted!(planted_over_tls);

/// Made for these tests, until 2126: an authority that nobody knows, and a server that it vouches for, by the names
/// `localhost` and 127.0.0.1.
fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/push/certificates")
        .join(name)
}

fn server(address: Ipv4Addr) -> Server {
    let chain = CertificateDer::pem_file_iter(certificate("server.pem")).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    Server::with(TcpListener::bind((address, 0)).unwrap(), move |stream| {
        StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream)
    })
}

fn options(address: Ipv4Addr, server: &Server) -> Options {
    Options::new(format!("https://{address}:{}", server.port())).interval(NEVER)
}

#[test]
fn a_server_that_somebody_vouches_for() {
    let server = server(Ipv4Addr::LOCALHOST);
    let options = options(Ipv4Addr::LOCALHOST, &server).bearer("hush");
    let pusher = options.ca_file(certificate("ca.pem")).start().unwrap();
    for round in 1..=2 {
        let _block = planted_over_tls(1_000);
        pusher.flush().unwrap();
        assert_eq!(server.allocated("planted_over_tls"), [round, 1_000 * round]);
    }
    assert_eq!(server.requests()[0].header("authorization"), "Bearer hush");
    assert_eq!(server.refused(), []);
}

#[test]
fn nobody_else_is_told_anything() {
    // Mozilla's list does not have the authority; and the certificate is of another address.
    let elsewhere = Ipv4Addr::new(127, 7, 1, 2);
    let (unknown, misnamed) = (server(Ipv4Addr::LOCALHOST), server(elsewhere));
    let of_unknown = options(Ipv4Addr::LOCALHOST, &unknown);
    let of_misnamed = options(elsewhere, &misnamed).ca_file(certificate("ca.pem"));
    for (options, server, part) in [
        (of_unknown, unknown, "UnknownIssuer"),
        (of_misnamed, misnamed, "certificate not valid for name"),
    ] {
        let pusher = options.bearer("hush").start().unwrap();
        let error = format!("{:#}", pusher.flush().unwrap_err());
        assert!(error.contains(part), "{error}");
        // For certain: it can be sent to whoever is found there later.
        assert_eq!((pusher.status().failed, pusher.status().unknown), (1, 0));
        drop(pusher);
        assert_eq!(server.requests().len(), 0);
    }
}

#[test]
fn a_file_without_certificates_is_told_at_start() {
    for (name, accepted) in [
        ("no-such-file", "cannot be read"),
        ("server.key", "with a certificate in it"),
    ] {
        let options = Options::new("https://localhost").ca_file(certificate(name));
        let error = options.start().unwrap_err();
        assert!(error.is_config());
        let error = error.to_string();
        assert!(
            error.contains("key `push_ca`") && error.contains(accepted),
            "{error}"
        );
    }
}
