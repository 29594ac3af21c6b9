//! Certificates: a server with an authority of its own, that asks for ours.

use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::scripted_server::read_request;
use crate::testenv::{Run, TestEnv, place, small_rollout};

const ID: &str = "019a0000-0000-7000-8000-000000000003";

/// A server that lets in who has a certificate of its authority.
struct Guarded {
    url: String,
    requests: Arc<AtomicUsize>,
}

/// Starts the server.
fn start(env: &TestEnv) -> Guarded {
    serve(Arc::new(authority(env, &[])))
}

/// Writes `ca.pem`, `us.pem` and `us.key`; returns how a server is to speak TLS that
/// lets in who has a certificate of the same authority.
pub(crate) fn authority(env: &TestEnv, alpn: &[&[u8]]) -> ServerConfig {
    let mut params = CertificateParams::new(Vec::new()).expect("a certificate");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a certificate");
    let ca = params.self_signed(&key).expect("a certificate");
    let issuer = Issuer::new(params, key);
    let signed = |name: &str| {
        let key = KeyPair::generate().expect("a certificate");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a certificate");
        (params.signed_by(&key, &issuer).expect("a certificate"), key)
    };
    let (ours, our_key) = signed("codex-trace.test");
    env.write("ca.pem", ca.pem());
    env.write("us.pem", ours.pem());
    env.write("us.key", our_key.serialize_pem());
    let (theirs, their_key) = signed("127.0.0.1");

    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).expect("a certificate");
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("a certificate")
        .with_client_cert_verifier(verifier.build().expect("a certificate"))
        .with_single_cert(
            vec![theirs.der().clone()],
            PrivateKeyDer::Pkcs8(their_key.serialize_der().into()),
        )
        .expect("a certificate");
    config.alpn_protocols = alpn.iter().map(|it| it.to_vec()).collect();
    config
}

fn serve(config: Arc<ServerConfig>) -> Guarded {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (config, counted) = (Arc::clone(&config), Arc::clone(&counted));
            std::thread::spawn(move || {
                let connection = ServerConnection::new(config).ok()?;
                let mut reader = BufReader::new(StreamOwned::new(connection, stream.ok()?));
                while read_request(&mut reader).is_some() {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let stream = reader.get_mut();
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
                    stream.flush().ok()?;
                }
                Some(())
            });
        }
    });
    Guarded { url, requests }
}

/// A Codex home with one small session.
pub(crate) fn small_home() -> TestEnv {
    let env = TestEnv::new();
    let rollout = small_rollout(ID, "2026-03-01T10:00", "hello");
    env.write(&format!(".codex/{}", place("2026-03-01T10-00-00", ID)), rollout);
    env
}

fn upload(env: &TestEnv, vars: &[(&str, String)], more: &[&str]) -> Run {
    let args = ["upload", "--settle", "0s", "--force", "--to"];
    env.finish(env.command(&[&args[..], more].concat()).envs(vars.iter().cloned()))
}

#[test]
fn certificates_by_every_way_there_is() {
    let env = small_home();
    let server = start(&env);
    let file = |name: &str| env.dir().join(name).display().to_string();
    let seen = || server.requests.load(Ordering::SeqCst);

    let ca = ("OTEL_EXPORTER_OTLP_CERTIFICATE", file("ca.pem"));
    let ours = [
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", file("us.pem")),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", file("us.key")),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000".to_owned()),
    ];
    let to = ["otlp", "--endpoint", &server.url];
    for (vars, why) in [
        (&[][..], "UnknownIssuer"),
        (&ours, "UnknownIssuer"),
        (std::slice::from_ref(&ca), "CertificateRequired"),
    ] {
        let run = upload(&env, vars, &to);
        assert_eq!((run.code, seen()), (Some(2), 0), "{}", run.stderr);
        assert!(run.stderr.contains(why), "{}", run.stderr);
    }
    let vars = [&[ca][..], &ours].concat();
    let run = upload(&env, &vars, &to);
    assert_eq!((run.code, seen()), (Some(0), 1), "{}", run.stderr);

    let table = format!(
        "[destinations.mine]\nbackend = 'otlp'\nendpoint = '{}'\n[destinations.mine.tls]\nca_file = '~/ca.pem'\nclient_cert_file = '~/us.pem'\nclient_key_file = '~/us.key'\n",
        server.url
    );
    env.write(".config/codex-trace/codex-trace.toml", table);
    let run = upload(&env, &[], &["mine"]);
    assert_eq!((run.code, seen()), (Some(0), 2), "{}", run.stderr);
    let run = env.run(&["doctor", "--to", "mine", "--connect", "--json"]);
    assert_eq!((run.code, seen()), (Some(0), 3), "{}", run.stdout);
    assert_eq!(run.json()[3]["connect"][0]["state"], "reachable");

    // The live telemetry's own: its files lie beside its configuration.
    let both = env.dir().join("us.pem");
    let pair = [fs_read(&env, "us.pem"), fs_read(&env, "us.key")].concat();
    std::fs::write(both, pair).unwrap();
    let otel = format!(
        "[otel]\ntrace_exporter = {{ otlp-http = {{ endpoint = '{}/v1/traces', protocol = 'binary', tls = {{ ca-certificate = '../ca.pem', client-certificate = '../us.pem' }} }} }}\n",
        server.url
    );
    env.write(".codex/config.toml", otel);
    let run = upload(&env, &[], &["otlp"]);
    assert_eq!((run.code, seen()), (Some(0), 4), "{}", run.stderr);
}

#[test]
fn files_that_are_no_certificates_are_told_before_anything_is_sent() {
    let env = small_home();
    env.write("empty.pem", "");
    for (name, what) in [
        ("nowhere.pem", "cannot read `[DIR]/nowhere.pem`"),
        ("empty.pem", "there is no certificate in `[DIR]/empty.pem`"),
    ] {
        let file = env.dir().join(name).display().to_string();
        let vars = [("OTEL_EXPORTER_OTLP_CERTIFICATE", file)];
        let run = upload(&env, &vars, &["otlp", "--endpoint", "https://127.0.0.1:1"]);
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.starts_with(&format!("error: otlp: {what}")), "{}", run.stderr);
    }
    let vars = [("OTEL_EXPORTER_OTLP_TIMEOUT", "soon".to_owned())];
    let run = upload(&env, &vars, &["otlp", "--endpoint", "https://127.0.0.1:1"]);
    assert!(run.stderr.contains("a number of milliseconds"), "{}", run.stderr);
}

fn fs_read(env: &TestEnv, name: &str) -> String {
    std::fs::read_to_string(env.dir().join(name)).expect("a file")
}
