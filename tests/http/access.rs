//! Who is let in, and where the server listens.

use std::net::TcpStream;

use heapsite::http::{Options, router, serve};

use crate::client::{get, get_patiently, request};

#[test]
fn a_token_guards_every_route() {
    let server = Options::new().token("s3cret").serve("127.0.0.1:0").unwrap();
    for path in ["", "heap", "cmdline", "symbol", "trace", "unknown"] {
        for headers in [
            "",
            "Authorization: Bearer s3creT\r\n",
            "Authorization: Basic s3cret\r\n",
        ] {
            let line = format!("GET /debug/pprof/{path} HTTP/1.1");
            let answer = request(server.address(), &line, headers, b"");
            assert_eq!(answer.status, 401, "{path} {headers}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            assert!(!answer.text().contains("s3cret"));
        }
    }
    let headers = "Authorization: Bearer s3cret\r\n";
    let answer = request(
        server.address(),
        "GET /debug/pprof/heap HTTP/1.1",
        headers,
        b"",
    );
    answer.profile();
}

#[test]
fn the_loopback_unless_told_otherwise() {
    let refused = serve("0.0.0.0:0").unwrap_err();
    assert!(refused.is_config());
    assert!(
        refused.to_string().contains("http_remote=true"),
        "{refused}"
    );
    let everywhere = Options::new().remote(true).serve("0.0.0.0:0").unwrap();
    let port = everywhere.address().port();
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(get(local, "/debug/pprof/cmdline").status, 200);
    assert!(
        Options::new()
            .token("")
            .serve("127.0.0.1:0")
            .unwrap_err()
            .is_config()
    );
    assert!(serve("127.0.0.1:0:0").unwrap_err().is_io());
}

#[test]
fn a_dropped_server_is_gone_and_its_port_is_free() {
    let server = serve("127.0.0.1:0").unwrap();
    let address = server.address();
    assert_eq!(server.url(), format!("http://{address}"));
    let taken = serve(address).unwrap_err();
    assert!(taken.is_io());
    assert!(taken.to_string().contains(&address.to_string()), "{taken}");
    // An idle connection does not keep it.
    let idle = TcpStream::connect(address).unwrap();
    drop(server);
    drop(idle);
    // Refused, unless another test has been given the port meanwhile; then it is one of ours, and may as well be asked.
    if TcpStream::connect(address).is_err() {
        let again = serve(address);
        drop(again);
    }
}

#[test]
fn a_handle_serves_as_settings_say() {
    let settings = "signal=none,http=127.0.0.1:0,http_token=abc";
    let handle = settings
        .parse::<heapsite::Config>()
        .unwrap()
        .init()
        .unwrap();
    let address = handle.http().unwrap().address();
    assert_eq!(get(address, "/debug/pprof/").status, 401);
    let headers = "Authorization: Bearer abc\r\n";
    let answer = request(address, "GET /debug/pprof/ HTTP/1.1", headers, b"");
    assert_eq!(answer.status, 200);
    drop(handle);
    let wrong = heapsite::Config::new().no_signal().http("127.0.0.1:1");
    // Nobody but root may listen there; root gets a handle.
    if let Err(error) = wrong.init() {
        assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    }
}

/// In an app of axum's own, on a runtime without a clock, next to other routes, and below a prefix.
#[test]
fn a_router_in_an_app() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new()
        .route("/", axum::routing::get(|| async { "the app" }))
        .merge(router())
        .nest("/inner", Options::new().token("abc").router());
    std::thread::spawn(move || runtime.block_on(axum::serve(listener, app).into_future()));
    assert_eq!(get(address, "/").text(), "the app");
    get_patiently(address, "/debug/pprof/heap").profile();
    assert_eq!(
        get_patiently(address, "/debug/pprof/heap?seconds=1").status,
        200
    );
    assert_eq!(get(address, "/inner/debug/pprof/heap").status, 401);
    let headers = "Authorization: Bearer abc\r\n";
    let nested = |path: &str| {
        request(
            address,
            &format!("GET /inner/debug/pprof{path} HTTP/1.1"),
            headers,
            b"",
        )
    };
    nested("/heap").profile();
    assert_eq!(nested("/heaps").text(), "Unknown profile\n");
    assert_eq!(nested("").header("location"), "/inner/debug/pprof/");
    assert_eq!(get(address, "/elsewhere").status, 404);
}
